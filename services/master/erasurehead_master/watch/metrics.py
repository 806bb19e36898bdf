"""What the master exports, defined once; docs/metrics.md is generated from this table.

`worker` labels are slots: few, small and stable, whatever the processes in them are called.
"""

from __future__ import annotations

from erasurehead.monitoring.metric import SECONDS, Metric

RATIO = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
ERROR = (1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0)

# The run and its model

MODEL_INFO = Metric(
    "erasurehead_model_info",
    "gauge",
    "Always 1; what is being trained, by which version.",
    ("run", "scheme", "model", "step", "version"),
)
MODEL_PARAMETERS = Metric("erasurehead_model_parameters", "gauge", "Parameters of the model.")
TRAINING_ROWS = Metric("erasurehead_training_rows", "gauge", "Training rows of the store.")
TASKS = Metric("erasurehead_tasks", "gauge", "Tasks the training rows are cut into (n).")
PHASE = Metric(
    "erasurehead_phase",
    "gauge",
    "1 for the phase the run is in: gathering, training or finished.",
    ("phase",),
)
EXIT_CODE = Metric(
    "erasurehead_exit_code",
    "gauge",
    "How the run ended, as the command's exit code; absent while it goes on.",
)
ROUND = Metric("erasurehead_round", "gauge", "The last round that is over: the model's step.")
ROUNDS_PLANNED = Metric("erasurehead_rounds_planned", "gauge", "Rounds the run is to have.")
TRAIN_LOSS = Metric(
    "erasurehead_train_loss",
    "gauge",
    "Training loss at the point last broadcast, estimated from the survivors.",
)
GAP = Metric(
    "erasurehead_estimated_gap",
    "gauge",
    "Share of the way from the first model to the minimum that is left, as the method estimates it;"
    " absent while it is unknown.",
)
TEST_METRIC = Metric(
    "erasurehead_test_metric",
    "gauge",
    "The model on the test rows, when it was last evaluated.",
    ("metric",),
)
GRADIENT_NORM = Metric(
    "erasurehead_gradient_norm", "gauge", "Norm of the last decoded gradient of the mean loss."
)
STEP_SIZE = Metric("erasurehead_step_size", "gauge", "Size of the method's last step.")
CHECKPOINT_AGE = Metric(
    "erasurehead_checkpoint_age_seconds",
    "gauge",
    "Seconds since a checkpoint was last written; absent before the first.",
)
CHECKPOINT_FAILURES = Metric(
    "erasurehead_checkpoint_failures_total", "counter", "Checkpoints that could not be written."
)

# Rounds

ROUND_DURATION = Metric(
    "erasurehead_round_duration_seconds",
    "histogram",
    "Time from opening a round to the end of its step.",
    buckets=SECONDS,
)
ARRIVAL = Metric(
    "erasurehead_arrival_seconds",
    "histogram",
    "Time from opening a round to the arrival of a slot's result in it.",
    ("worker",),
    SECONDS,
)
ROUND_ARRIVALS = Metric(
    "erasurehead_round_arrivals",
    "gauge",
    "Slots of which a result was in when the last round closed.",
)
ERASED_TASKS = Metric(
    "erasurehead_erased_tasks_total", "counter", "Tasks that no survivor of their round covered."
)
ERASURE_RATIO = Metric(
    "erasurehead_round_erasure_ratio",
    "histogram",
    "Share of all tasks that was erased in a round.",
    buckets=RATIO,
)
DECODE_ERROR = Metric(
    "erasurehead_round_decode_error",
    "histogram",
    "||alpha - 1||^2 / n of the realised task weights alpha of a round.",
    buckets=ERROR,
)
AMPLIFICATION = Metric(
    "erasurehead_amplification",
    "gauge",
    "Factor by which the last decoding magnified the rounding of messages.",
)
WORKER_ROUNDS = Metric(
    "erasurehead_worker_rounds_total",
    "counter",
    "Rounds a slot was sent, by outcome: arrived, or straggled (its result was not waited for).",
    ("worker", "outcome"),
)
STRAGGLER_PROBABILITY = Metric(
    "erasurehead_straggler_probability",
    "gauge",
    "Estimated probability that a slot misses the next round, under the stop rule in force.",
    ("worker",),
)
LATE_SHARE = Metric(
    "erasurehead_worker_late_ratio",
    "gauge",
    "Share of the last rounds in which a slot's result came late or not at all.",
    ("worker", "name"),
)
BEHIND = Metric(
    "erasurehead_worker_behind_seconds",
    "gauge",
    "How far a slot was behind the median arrival of the last rounds, at least.",
    ("worker", "name"),
)
CHRONIC = Metric(
    "erasurehead_worker_chronic",
    "gauge",
    "1 for a slot whose worker is a chronic straggler, 0 for the others.",
    ("worker", "name"),
)
GONE = Metric(
    "erasurehead_worker_gone",
    "gauge",
    "1 for a slot that had a worker of this name and has none now.",
    ("worker", "name"),
)
STALE_RESULTS = Metric(
    "erasurehead_stale_results_total", "counter", "Results of an earlier round that were heard."
)
LATENESS = Metric(
    "erasurehead_late_result_seconds",
    "histogram",
    "Time from the opening of its own round to the arrival of a stale result.",
    buckets=SECONDS,
)
COMPARED = Metric(
    "erasurehead_compared_rounds_seconds_total",
    "counter",
    "Duration of the rounds that are compared with waiting for everyone.",
)
WAITING_FOR_ALL = Metric(
    "erasurehead_waiting_for_all_seconds_total",
    "counter",
    "What the compared rounds would at least have cost if every slot had been waited for: from"
    " late results, and from the injected delay of those that gave up.",
)

# Workers and messages

REBUILDS = Metric(
    "erasurehead_code_rebuilds_total",
    "counter",
    "Times the code was rebuilt in this run: for other workers, or by learnt probabilities.",
)
SLOTS = Metric("erasurehead_slots", "gauge", "Slots of the code (k).")
WORKERS = Metric(
    "erasurehead_workers",
    "gauge",
    "Registered workers by state: ready, loading, spare, draining; and set_aside, those sent away.",
    ("state",),
)
PLACEMENTS = Metric(
    "erasurehead_worker_placements_total",
    "counter",
    "Times a worker was put into a slot; more than 1 means restarts or replacements.",
    ("worker",),
)
REFUSED = Metric(
    "erasurehead_refused_messages_total", "counter", "Messages refused, by reason.", ("reason",)
)
SENT = Metric("erasurehead_sent_bytes_total", "counter", "Bytes of frames sent to workers.")
RECEIVED = Metric("erasurehead_received_bytes_total", "counter", "Bytes of frames from workers.")
PHASE_SECONDS = Metric(
    "erasurehead_master_phase_seconds_total",
    "counter",
    "The master's time within rounds by phase: encode, wait, decode, step.",
    ("phase",),
)

METRICS = tuple(m for m in list(globals().values()) if isinstance(m, Metric))
"""Every metric of the master, in the order of the page."""
