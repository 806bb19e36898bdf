"""What formulas expect of rounds: decode errors, times, survivors."""
