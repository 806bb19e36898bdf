"""Objectives, optimisers, schedules and metrics; numpy and scipy.sparse only."""
