"""Data sets: prepared once into a store, mapped by master and workers."""
