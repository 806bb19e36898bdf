"""The golden runs: which there are, how one is run, and what is kept of it.

Everything of the product that the golden tests use is imported or named here, between the two
lines below, so who renames a module of the product changes this file only.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.special import expit

# ---- What the golden tests know of the product: from here ...
from erasurehead.coding import CODES
from erasurehead.datasets.prepare import prepare
from erasurehead.datasets.store import Store
from erasurehead.decoding import DECODERS
from erasurehead.estimating import ESTIMATES
from erasurehead.models import MODELS
from erasurehead.models.scoring import Evaluator
from erasurehead.optimizing import METHODS
from erasurehead.optimizing.steps import STEP_SIZES
from erasurehead.records import Observer, RoundRecord, RunStart
from erasurehead.schemes.text import parse
from erasurehead.settings.sources import load
from erasurehead.settings.tree import RunSettings
from erasurehead.stopping import STOPS
from erasurehead.straggling import DELAYS
from erasurehead_local.train import train
from erasurehead_master.run.planning import make_plan
from erasurehead_simulator.virtual.virtual_run import run_virtually

COMMAND = (sys.executable, "-m", "erasurehead_cli")
"""The command `erasurehead`, of the packages that are tested."""

SETTING_NAMES: Mapping[str, str] = {}
"""From a setting's dotted name when the runs were recorded to its name now, where it differs."""
# ---- ... to here.

HERE = Path(__file__).parent
SIMULATED = HERE / "simulated.json"
OVER_SOCKETS = HERE / "over_sockets.json"

Kept = dict[str, Any]
"""What is kept of a run: numbers, texts, lists and dictionaries, as JSON has them."""

ROUNDS = 12


@dataclass(frozen=True)
class Case:
    """A golden run.

    Attributes
    ----------
    name: names it in the files and the tests.
    store: a key of `STORES`.
    settings: dotted names and values; what is not said here is in `COMMON`.
    pass_s: seconds in which a virtual worker would compute the gradient of all rows.
    ordered: over sockets, the sums do not depend on the order of arrivals, so even the last bit
        of the model is known. An exact scheme of groups sums in the order of its blocks; a cache,
        and a code whose weights depend on who arrived, do not.
    """

    name: str
    store: str
    settings: Mapping[str, Any]
    pass_s: float = 0.0
    ordered: bool = True


COMMON: Mapping[str, Any] = {
    "rounds": ROUNDS,
    "workers": 6,
    "evaluate_every_rounds": 1,
    "seed": 11,
    "optimizer": "gradient-descent",
    "step": "auto",
    "l2": 0.0,
    "until": "none",
}

STORES: Mapping[str, Mapping[str, str]] = {
    "logistic": {"rows": "240", "columns": "60", "nnz": "4", "seed": "1"},
    "squares": {"rows": "240", "columns": "60", "nnz": "4", "seed": "2", "labels": "numbers"},
    # Labels of two classes, as the margins of dense rows are only known to the last bit or so.
    "dense": {"rows": "150", "columns": "12", "nnz": "12", "seed": "3", "dense": "true"},
}

EXPONENTIAL = "exponential:mean_s=0.5"
SHIFTED = "shifted-exponential:shift_s=0.2,mean_s=0.6"
TRACE = "trace:file={folder}/delays.npz"
SLOW_THREE = "persistent:count=3,slow_s=5,jitter_s=0.5"
UNEVEN = "p=0.1/0.1/0.2/0.2/0.3/0.3"


def _case(name: str, store: str, scheme: str, pass_s: float = 0.0, **settings: Any) -> Case:
    """Return a case; a double underscore in a keyword is the dot of a setting's name."""
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return Case(name, store, {"scheme": scheme, **dotted}, pass_s)


SIMULATIONS: tuple[Case, ...] = (
    _case("uncoded", "logistic", "uncoded", pass_s=0.3, delay="none"),
    _case(
        "uncoded, first four",
        "logistic",
        "uncoded:r=4",
        delay="exponential:rate=2",
        step="exponential:eta=2.5,decay=0.9",
        l2=0.01,
    ),
    _case("egc, nesterov", "squares", "egc:c=2", delay=SHIFTED, optimizer="nesterov", l2=0.05),
    _case(
        "egc, single precision",
        "dense",
        "egc:c=2",
        delay=EXPONENTIAL,
        wire__format="f4",
        step="inverse:eta=2.0",
    ),
    _case("agc, delta", "logistic", "agc:c=3,delta=0.37", delay=EXPONENTIAL, workers=12),
    _case(
        "agc, double precision",
        "squares",
        "agc:c=2,r=5,scale=unbiased",
        delay=EXPONENTIAL,
        workers=8,
        wire__format="f8",
        wire__dense_share=0.3,
        step="0.3",
    ),
    _case(
        "agc, deadline",
        "logistic",
        "agc:c=2,deadline_s=0.1,scale=none",
        delay="pareto:shape=1.5,scale_s=0.2,by_load=yes",
        step="constant:eta=1.5",
    ),
    _case(
        "deadline with a minimum",
        "squares",
        "uncoded / first-copy:scale=coverage / deadline:after_s=0.3,minimum=3",
        pass_s=0.5,
        delay=EXPONENTIAL,
        step="0.2",
    ),
    _case(
        "agc, saga",
        "logistic",
        "agc:c=2,r=3,cache=saga",
        pass_s=0.2,
        workers=8,
        delay="bimodal:base_s=0.5,eps=0.3,factor=4",
    ),
    _case(
        "agc, sag, nesterov",
        "squares",
        "agc:c=2,r=3,cache=sag",
        delay="gilbert-elliott:p_gb=0.3,p_bg=0.4,slow_s=1.0,fast_s=0.1",
        pass_s=0.1,
        optimizer="nesterov",
        step="0.1",
        l2=0.02,
    ),
    _case(
        "agc, svrg",
        "logistic",
        "agc:c=2,r=3,cache=svrg:every=4",
        workers=8,
        delay="unequal-exponential:shift_s=0.1,low=0.5,high=4",
    ),
    _case("exact, saga", "dense", "egc:c=3,cache=saga", delay=EXPONENTIAL),
    _case(
        "groups are learnt, and regrouped",
        "squares",
        "frc:c=2,groups=balanced / first-copy:scale=group / fraction:r=6",
        workers=10,
        rounds=20,
        delay=SLOW_THREE,
        step="0.2",
        refit__regroup_after_rounds=6,
    ),
    _case(
        "groups are learnt, and regrouped with a cache",
        "logistic",
        "frc:c=2,groups=balanced / first-copy:scale=coverage / fraction:r=5 / saga",
        workers=8,
        rounds=16,
        delay=SLOW_THREE,
        refit__regroup_after_rounds=6,
    ),
    _case(
        "osgc, regrouped",
        "logistic",
        "osgc / fixed / fraction:r=5",
        workers=8,
        rounds=20,
        delay=SLOW_THREE,
        refit__regroup_after_rounds=6,
    ),
    _case("osgc, given p", "squares", f"osgc:{UNEVEN} / fixed / fraction:r=5", delay=EXPONENTIAL),
    _case(
        "matched-cyclic, trace",
        "logistic",
        "matched-cyclic:c=3,p=0.2 / fixed:shrink=mse / fraction:r=5",
        delay=TRACE,
    ),
    _case("cyclic-repetition", "squares", "cyclic-repetition:s=2", delay=EXPONENTIAL),
    _case("cyclic-mds", "logistic", "cyclic-mds:s=1", delay=EXPONENTIAL, pass_s=0.2),
    _case(
        "cyclic-mds, complex, cached",
        "squares",
        "cyclic-mds:s=2,field=complex / least-squares / fraction:r=4 / sag",
        workers=8,
        delay=EXPONENTIAL,
    ),
    _case("reed-solomon", "logistic", "reed-solomon:s=2", workers=7, tasks=9, delay=EXPONENTIAL),
    _case(
        "reed-solomon, real nodes", "squares", "reed-solomon:s=2,nodes=chebyshev", delay=EXPONENTIAL
    ),
    _case(
        "heterogeneous",
        "logistic",
        "heterogeneous:s=1,speeds=1/1/1/2/2/3",
        pass_s=0.4,
        delay=SHIFTED,
    ),
    _case("partial", "squares", "partial:s=1,alpha=2", pass_s=1.0, delay=EXPONENTIAL),
    _case(
        "bernoulli",
        "logistic",
        "bernoulli:c=3 / algorithmic:steps=30 / fraction:r=5",
        workers=8,
        delay=EXPONENTIAL,
    ),
    _case(
        "regularized-bernoulli",
        "squares",
        "regularized-bernoulli:c=3 / least-squares / fraction:r=4",
        delay=EXPONENTIAL,
    ),
    _case(
        "stochastic-block, residual",
        "logistic",
        "stochastic-block:c=3 / least-squares / residual:epsilon=0.2",
        workers=9,
        delay=EXPONENTIAL,
    ),
    _case(
        "frc, residual",
        "squares",
        "frc:c=2,groups=consecutive / first-copy:scale=coverage / residual:epsilon=0.4",
        workers=8,
        delay=EXPONENTIAL,
    ),
    _case(
        "regular", "dense", "regular:c=3 / one-step:scale=mean / fraction:r=4", delay=EXPONENTIAL
    ),
    _case(
        "pairwise-balanced",
        "squares",
        "pairwise-balanced:d=3 / fixed:p=0.2 / fraction:delta=0.8",
        delay=EXPONENTIAL,
    ),
    _case(
        "expander",
        "logistic",
        "expander:d=3 / least-squares:cache=4 / fraction:r=5",
        workers=8,
        delay=EXPONENTIAL,
    ),
    _case(
        "graph, saga", "squares", "graph:d=3 / component / fraction:r=3 / saga", delay=EXPONENTIAL
    ),
    _case(
        "design",
        "logistic",
        "design / one-step:scale=optimal / fraction:r=5",
        workers=7,
        delay=EXPONENTIAL,
    ),
    _case(
        "coupon, adaptive",
        "logistic",
        "coupon:c=3 / first-copy:scale=coverage / adaptive:warmup=3,explore=4",
        workers=12,
        delay=EXPONENTIAL,
    ),
    _case(
        "adaptive, by deadline",
        "squares",
        "frc:c=2 / first-copy:scale=none / adaptive:by=deadline,warmup=2,explore=4,most_error=0.9",
        workers=8,
        delay=SHIFTED,
    ),
    _case(
        "adaptive, cached",
        "logistic",
        "frc:c=3 / first-copy:scale=coverage / adaptive:progress=0.3 / sag",
        workers=12,
        delay=EXPONENTIAL,
    ),
    _case("cyclic-sums", "dense", "cyclic-sums:c=2 / circular / fraction:r=3 / saga", delay=TRACE),
    _case(
        "hybrid-sums",
        "squares",
        "hybrid-sums:c1=1,c2=2,groups=2 / disjoint / fraction:r=2",
        delay=TRACE,
    ),
    _case(
        "another objective",
        "logistic",
        "agc:c=3,r=3,scale=group",
        workers=9,
        model="least-squares",
        delay=EXPONENTIAL,
        step="0.2",
    ),
)

REAL_RUNS: tuple[Case, ...] = (
    Case("uncoded", "logistic", {"scheme": "uncoded", "workers": 4}),
    Case(
        "egc, nesterov",
        "squares",
        {"scheme": "egc:c=2", "workers": 4, "optimizer": "nesterov", "l2": 0.05},
    ),
    Case(
        "egc, single precision",
        "dense",
        {"scheme": "egc:c=2", "workers": 4, "wire.format": "f4", "step": "1.0"},
    ),
    Case("egc, sag", "logistic", {"scheme": "egc:c=2,cache=sag", "workers": 4}, ordered=False),
    Case(
        "uncoded, svrg",
        "dense",
        {"scheme": "uncoded:cache=svrg:every=4", "workers": 3},
        ordered=False,
    ),
    Case("cyclic-mds", "squares", {"scheme": "cyclic-mds:s=1", "workers": 4}, ordered=False),
)


@dataclass
class Scene:
    """The stores and the trace that the runs need, made in a folder when they are asked for."""

    folder: Path
    _stores: dict[str, Path] = field(default_factory=dict)

    def store(self, name: str) -> Path:
        """Return the path of a made-up store."""
        if name not in self._stores:
            out = self.folder / name
            made = prepare("synthetic", source=None, out=out, options=dict(STORES[name]))
            self._stores[name] = made.path
        return self._stores[name]

    def digests(self) -> dict[str, str]:
        """Return the content's digest of every store."""
        return {name: Store.open(self.store(name)).digest for name in STORES}

    def settings(self, case: Case) -> RunSettings:
        """Return a case's settings."""
        self._write_trace()
        flat = {**COMMON, **case.settings, "store": str(self.store(case.store))}
        if "delay" in flat:
            flat["delay"] = flat["delay"].replace("{folder}", str(self.folder))
        return load(RunSettings, nested(flat), environment={})

    def _write_trace(self) -> None:
        """Write the delays of 7 rounds of 6 workers, no two of them equal."""
        path = self.folder / "delays.npz"
        if not path.exists():
            np.savez(path, delays_s=((np.arange(42) * 29) % 43).reshape(7, 6) / 32.0)


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of dotted names as the tree that the settings' loader takes."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = SETTING_NAMES.get(name, name).split(".")
        branch = tree
        for key in above:
            branch = branch.setdefault(key, {})
        branch[last] = value
    return tree


def digest_of(model: npt.NDArray[np.float64]) -> str:
    """Return the SHA-256 of a model's bytes."""
    return hashlib.sha256(np.ascontiguousarray(model, dtype="<f8").tobytes()).hexdigest()


class _Watch(Observer):
    """Keeps the records, what was told, and the model after the last round."""

    def __init__(self) -> None:
        self.records: list[RoundRecord] = []
        self.notices: list[str] = []
        self.theta: npt.NDArray[np.float64] = np.zeros(0)
        self.step = ""

    def started(self, start: RunStart) -> None:
        """Keep the kind of step size; the number, which may differ in its last digits, is in the
        rounds."""
        self.step = start.step.partition(":")[0]

    def round_over(self, record: RoundRecord) -> None:
        """Keep the record."""
        self.records.append(record)

    def notice(self, level: str, text: str) -> None:
        """Keep the notice, unless it is one of the many that say who registered.

        Stragglers were not named yet when the runs were recorded.
        """
        if level != "debug" and "chronic straggler" not in text and "keeps up again" not in text:
            self.notices.append(f"{level}: {text}")

    def model(self, theta: Any, start: RunStart, rounds: int) -> None:
        """Keep a copy of the model."""
        self.theta = np.array(theta)


def run_simulated(case: Case, scene: Scene) -> Kept:
    """Run a case under the virtual clock and return what is kept of it, every round included."""
    settings = scene.settings(case)
    store = Store.open(settings.problem.store)
    plan = make_plan(settings, store, None)
    evaluator = Evaluator(store.test, plan.model)
    digests: list[str] = []

    def rate(model: npt.NDArray[np.float64]) -> Mapping[str, float]:
        digests.append(digest_of(model))
        return evaluator.now(model)

    watch = _Watch()
    summary = run_virtually(plan, store, [watch], case.pass_s, rate=rate)
    rounds = []
    for record, digest in zip(watch.records, digests, strict=True):
        rounds.append(
            {
                "round": record.round,
                "reason": record.reason,
                "opened_s": record.opened_s,
                "closed_s": record.closed_s,
                "slots": [arrival.slot for arrival in record.arrivals],
                "after_s": [arrival.after_s for arrival in record.arrivals],
                "stragglers": list(record.stragglers),
                "late": [[late.slot, late.round, late.after_s] for late in record.late],
                "erased_tasks": record.erased_tasks,
                "decode_error": record.decode_error,
                "amplification": record.amplification,
                "train_loss": record.train_loss,
                "gradient_norm": record.gradient_norm,
                "step_size": record.step_size,
                "metrics": dict(record.metrics),
                "model_sha256": digest,
            }
        )
    return {
        "end": [summary.exit_code, summary.reason, summary.rounds],
        "step": watch.step,
        "notices": watch.notices,
        "theta_sha256": digest_of(watch.theta),
        "rounds": rounds,
    }


def run_over_sockets(case: Case, scene: Scene) -> Kept:
    """Run a case with worker processes and return what does not depend on who came first."""
    watch = _Watch()
    summary = train(scene.settings(case), [watch])
    rounds = [
        {
            "round": record.round,
            "erased_tasks": record.erased_tasks,
            "decode_error": record.decode_error,
            "train_loss": record.train_loss,
            "gradient_norm": record.gradient_norm,
            "step_size": record.step_size,
            "metrics": dict(record.metrics),
        }
        for record in watch.records
    ]
    return {
        "end": [summary.exit_code, summary.reason, summary.rounds],
        "step": watch.step,
        "theta_sha256": digest_of(watch.theta),
        "theta": watch.theta.tolist(),
        "rounds": rounds,
    }


def fingerprint() -> str:
    """Return a digest of what this machine's kernels make of a few fixed numbers.

    The kernels are those that a run uses: sparse products, BLAS, LAPACK, numpy's elementary
    functions and sums, and its generators. Machines of equal fingerprints are expected to agree to
    the last bit.
    """
    n = 61
    u = ((np.arange(n * n) * 2654435761) % 4294967291).reshape(n, n) / 4294967291.0
    v = u[7] - 0.5
    sparse = csr_array(np.where(u > 0.8, u, 0.0))
    rng = np.random.default_rng((11, 0x601D))
    moved = v.copy()
    moved -= 0.37 * u[3]
    unity = np.exp(2j * np.pi * np.arange(1, 8) / 8)
    parts: list[npt.NDArray[Any]] = [
        sparse @ v,
        sparse.T @ v,
        u @ v,
        u.T @ v,
        u @ u,
        np.array([v @ v, v.sum(), u.sum(), np.linalg.norm(v), np.linalg.norm(u, 2)]),
        moved,
        np.exp(20 * v),
        np.expm1(v),
        np.log1p(u[5]),
        np.log(u[5] + 1e-9),
        np.logaddexp(0.0, 30 * v),
        expit(30 * v),
        np.sqrt(u[2]),
        u[4] ** 0.7,
        v.astype("<f4"),
        np.cumsum(v),
        np.linalg.lstsq(u[:, :20], v, rcond=None)[0],
        np.linalg.solve(u + n * np.eye(n), v),
        np.linalg.svd(u[:9], compute_uv=False),
        np.linalg.eigvalsh(u + u.T),
        np.linalg.qr(u[:, :9])[0],
        np.poly(unity),
        rng.standard_normal(500),
        rng.standard_exponential(500),
        rng.permutation(50),
        rng.beta(2.0, 3.0, 50),
    ]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()


COUNTS = (".metrics.auc", ".metrics.accuracy")
"""Metrics that count rows, or pairs of them: where outputs tie, as after a first step on rows with
the same columns, the last bit of an output decides a whole row."""


def differences(kept: Any, recorded: Any, *, bitwise: bool, where: str = "") -> Iterator[str]:
    """Yield where two runs differ.

    Parameters
    ----------
    bitwise: numbers and digests must be equal; else numbers must be near (a relative 1e-9, or an
        absolute 1e-12 for what is zero but for rounding; 0.01 for metrics that `COUNTS` names),
        and digests are not compared.
    """
    if isinstance(kept, dict) and isinstance(recorded, dict):
        if kept.keys() != recorded.keys():
            yield f"{where}: {sorted(kept)}, recorded {sorted(recorded)}"
            return
        for key in kept:
            if bitwise or not key.endswith("sha256"):
                yield from differences(
                    kept[key], recorded[key], bitwise=bitwise, where=f"{where}.{key}"
                )
    elif isinstance(kept, list) and isinstance(recorded, list):
        if len(kept) != len(recorded):
            yield f"{where}: {len(kept)} entries, recorded {len(recorded)}"
            return
        for i, (left, right) in enumerate(zip(kept, recorded, strict=True)):
            yield from differences(left, right, bitwise=bitwise, where=f"{where}[{i}]")
    elif isinstance(kept, float) and isinstance(recorded, float):
        equal = kept == recorded or (math.isnan(kept) and math.isnan(recorded))
        slack = 0.01 if where.endswith(COUNTS) else 1e-12
        if not equal and (bitwise or not math.isclose(kept, recorded, rel_tol=1e-9, abs_tol=slack)):
            yield f"{where}: {kept!r}, recorded {recorded!r}"
    elif kept != recorded:
        yield f"{where}: {kept!r}, recorded {recorded!r}"


def unrecorded() -> list[str]:
    """Return every name of a registry that no simulation uses."""
    schemes = [parse(case.settings["scheme"]) for case in SIMULATIONS]
    settings = [{**COMMON, **case.settings} for case in SIMULATIONS]

    def named(key: str, default: str) -> set[str]:
        return {str(each.get(key, default)).partition(":")[0] for each in settings}

    by_default = {
        "least-squares" if options.get("labels") == "numbers" else "logistic"
        for options in STORES.values()
    }
    used: list[tuple[Iterable[str], set[str]]] = [
        (CODES, {scheme.code.name for scheme in schemes}),
        (DECODERS, {scheme.decoder.name for scheme in schemes}),
        (STOPS, {scheme.stop.name for scheme in schemes}),
        (ESTIMATES, {scheme.estimate.name for scheme in schemes}),
        (DELAYS, named("delay", "none")),
        (METHODS, named("optimizer", "gradient-descent")),
        (STEP_SIZES, named("step", "auto")),
        (MODELS, named("model", "") | by_default),
    ]
    return [name for registry, names in used for name in registry if name not in names]


def write(path: Path, digests: Mapping[str, str], runs: Mapping[str, Kept]) -> None:
    """Write recorded runs, a line for each round, so that a change is seen in a diff."""
    lines = ["{", f'"fingerprint": {json.dumps(fingerprint())},', f'"stores": {_line(digests)},']
    lines.append('"runs": {')
    for i, (name, run) in enumerate(runs.items()):
        told = {key: value for key, value in run.items() if key != "rounds"}
        lines.append(f"{json.dumps(name)}: {_line(told)[:-1]},")
        lines.append(' "rounds": [')
        lines.append(",\n".join(_line(each) for each in run["rounds"]))
        lines.append("]}" + ("," if i + 1 < len(runs) else ""))
    path.write_text("\n".join([*lines, "}", "}"]) + "\n", encoding="utf-8")


def read(path: Path) -> dict[str, Any]:
    """Return recorded runs: `fingerprint`, `stores` (digests) and `runs` (by name)."""
    held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return held


def as_json(kept: Kept) -> Kept:
    """Return what was kept of a run as it would be read again; floats are exact in JSON."""
    again: Kept = json.loads(json.dumps(kept))
    return again


def names_of(cases: Iterable[Case]) -> list[str]:
    """Return the names of cases."""
    return [case.name for case in cases]


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
