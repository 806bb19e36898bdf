"""Moments, bounds and expected runtimes of the papers."""
