"""The master: rounds and membership as state machines, and the shell around them."""
