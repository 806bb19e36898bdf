"""Master and workers under a virtual clock."""
