"""What commands share: options, the log, the live display, a run from start to report."""
