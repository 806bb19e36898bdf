"""In a notebook's kernel: a bar under the cell, and an Interrupt that keeps the model so far."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

TRAIN = """
import numpy as np
import erasurehead as eh
from erasurehead.records import Observer

class AtRound(Observer):
    def round_over(self, record):
        if record.round == 5:
            print("round 5", flush=True)

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 3))
run = eh.train(X, X[:, 0] > 0, workers=2, scheme="uncoded", rounds=10**6, step=0.1, until="none",
               l2=0.1, observers=[AtRound()], optimizer="gradient-descent")
"""

AFTER = """
import psutil
print(run.interrupted, 5 <= run.summary.rounds < 10**6, bool(np.any(run.theta)),
      len(psutil.Process().children(recursive=True)))
"""


def test_an_interrupt_of_the_kernel_ends_the_run_and_keeps_the_model() -> None:
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    manager = pytest.importorskip("jupyter_client.manager", reason="jupyter_client is missing")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    kernel, client = manager.start_new_kernel(env=environment)
    try:
        shown: list[dict[str, Any]] = []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] in ("display_data", "update_display_data"):
                shown.append(content["data"])
            if "round 5" in content.get("text", ""):
                kernel.interrupt_kernel()

        reply = client.execute_interactive(TRAIN, output_hook=hook, timeout=120)
        assert reply["content"]["status"] == "ok", reply["content"]
        assert "<progress" in shown[0]["text/html"]
        assert "asked to end by SIGINT" in shown[-1]["text/html"]
        told: list[str] = []
        client.execute_interactive(
            AFTER, output_hook=lambda m: told.append(m["content"].get("text", "")), timeout=60
        )
        assert "".join(told).split() == ["True", "True", "True", "0"]
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
