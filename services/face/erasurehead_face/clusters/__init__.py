"""Runs whose workers a cluster of the user's starts: Dask, Ray."""
