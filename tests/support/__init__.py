"""What several tests share: made-up runs, rows, problems and messages."""
