"""The worker without I/O: what it is assigned and what it computes next."""
