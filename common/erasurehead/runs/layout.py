"""Names of the files of a run's directory."""

from __future__ import annotations

CONFIG = "config.yaml"
ROUNDS = "rounds.jsonl"
EVENTS = "events.log"
MODEL = "model.npz"
SUMMARY = "summary.json"
LOCK = "run.lock"
"""There while a process works on the run (`erasurehead.runs.claim`)."""

BESIDE = ("report.html", "learning.png", "rounds.png")
"""What commands put beside a run when it has ended."""

STORE = "manifest.json"
"""The file by which a directory is a store, and no place for a run."""

EVERY = (CONFIG, ROUNDS, EVENTS, MODEL, SUMMARY)
