"""Names of the files of a run's directory."""

from __future__ import annotations

CONFIG = "config.yaml"
ROUNDS = "rounds.jsonl"
EVENTS = "events.log"
MODEL = "model.npz"
SUMMARY = "summary.json"
LOCK = "run.lock"
"""There while a process works on the run (`erasurehead.runs.claim`)."""

EVERY = (CONFIG, ROUNDS, EVENTS, MODEL, SUMMARY)
