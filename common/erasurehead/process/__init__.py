"""One process on one machine: signals, cores, durable files, its pulse and its version."""
