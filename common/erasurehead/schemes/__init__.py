"""Schemes: code, decoder, stop rule and gradient estimate as one value."""
