"""What others see of a running master: metrics and health."""
