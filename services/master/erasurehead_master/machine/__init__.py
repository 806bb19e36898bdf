"""The master without I/O: membership, rounds and what both decide."""
