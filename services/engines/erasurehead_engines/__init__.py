"""Starters for SLURM, Dask and Ray: the engine starts processes and tells them an address."""
