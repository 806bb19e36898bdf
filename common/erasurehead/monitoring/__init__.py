"""Metrics and health over HTTP: what master and worker have in common.

Nothing here is imported unless an address to serve on is configured.
"""
