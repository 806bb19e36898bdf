"""ErasureHead: distributed gradient descent that does not wait for stragglers."""
