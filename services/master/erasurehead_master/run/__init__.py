"""A run's plan and arithmetic, without sockets."""
