"""Moments, bounds and expected runtimes of the papers.

What holds for a scheme is printed beside what a simulation measures; the rest is here as reference,
held against the codes in tests and in benchmarks/bounds.py.
"""
