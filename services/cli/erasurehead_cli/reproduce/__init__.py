"""`erasurehead reproduce`: the experiments of arXiv 1901.09671, section 5, and what beats them."""
