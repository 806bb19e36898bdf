"""The worker's I/O: its socket, its rows, its turns at the cores."""
