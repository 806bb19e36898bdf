"""The worker: what it is at as a state machine, its rows, and the loop around both."""
