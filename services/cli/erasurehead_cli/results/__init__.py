"""The numbers of runs: as columns, compared, in tables and in figures."""
