"""What a master tells a worker, as an example; tests take copies with other fields."""

from __future__ import annotations

import numpy as np

from erasurehead.wire.messages import Assign

ASSIGN = Assign(
    run="r",
    epoch=0,
    slot=1,
    n_slots=2,
    columns=6,
    tasks=np.array([0, 1]),
    row_ranges=np.array([[0, 5], [5, 9]]),
    coefficients=np.ones((1, 1, 2)),
    objective="logistic",
    store=None,
    digest="abc",
    wire_dtype="<f8",
    delay="none",
    delay_seed=0,
    load_share=0.5,
    heartbeat_interval_s=1.0,
    silence_limit_s=5.0,
    dense_share=0.7,
)
