"""The master's I/O: sockets, signals, clocks and the process around the machine."""
