"""What others see of a running worker: metrics and throttling."""
