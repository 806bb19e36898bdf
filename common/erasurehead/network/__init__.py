"""Sockets, keys and the gate that connections pass; addresses and limits."""
