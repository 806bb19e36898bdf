"""The search for a scheme: candidates, screening, trials."""
