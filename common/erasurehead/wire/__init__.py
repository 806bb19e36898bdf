"""The protocol: messages, and messages to frames and back."""
