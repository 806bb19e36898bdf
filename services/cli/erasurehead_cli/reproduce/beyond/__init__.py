"""`erasurehead reproduce --beyond`: how long runs take to come near the optimum, by method."""
