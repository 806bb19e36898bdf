"""Train, simulate and plan from Python, and what they return."""
