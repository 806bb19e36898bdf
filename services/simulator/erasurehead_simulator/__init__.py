"""Runs under a virtual clock: the master's and the workers' own state machines, without a wire."""
