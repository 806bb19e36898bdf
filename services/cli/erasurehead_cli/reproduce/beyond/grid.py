"""Which runs there are: data set x manner of delays x contender x seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from erasurehead.errors import UsageError
from erasurehead.registry import nearest

N_WORKERS = 30
MEAN_DELAY_S = 0.5
SLOW_WORKERS, SLOWER = 6, 8.0
DEAD_WORKERS = 3


@dataclass(frozen=True)
class DataSet:
    """A data set, and the weight of its penalty.

    Attributes
    ----------
    sure: a run ends when its estimate of the gap is this share of the last mark: less where the
        estimate is often too small (docs/finishing.md).
    longer: how many times as long a method runs here, by the contender's name, at most.
    """

    name: str
    title: str
    l2: float
    sure: float = 0.2
    longer: Mapping[str, float] = field(default_factory=dict, hash=False)


DATA_SETS = (
    DataSet("kc-housing", "KC Housing", 1e-4),
    DataSet("amazon", "Amazon Employee Access", 1e-4),
    DataSet("flights", "flights", 1e-5),
    # There they run until it is seen whether first-order methods take 15 times as long as ours.
    DataSet(
        "covertype", "Covertype", 1e-5, 0.03, {"nesterov-5": 3, "nesterov-11": 1.5, "descent": 8}
    ),
)

MANNERS: Mapping[str, str] = {
    "iid": "delays drawn in every round (exponential, mean {mean_s:g} s)",
    "slow": "the same, and six of thirty workers always 8 times as late",
    "dead": "the same, and three of thirty workers dead from the first round on",
}


@dataclass(frozen=True)
class Contender:
    """A method with a scheme.

    Attributes
    ----------
    rounds, most_s: it runs until its estimate of the gap is well below the last mark, for so many
        rounds at most, and for so many seconds; on some data sets longer.
    earlier: an earlier build runs it, all its rounds.
    """

    name: str
    title: str
    scheme: str
    optimizer: str
    rounds: int
    most_s: float = 60.0
    earlier: bool = False


OURS = Contender("coded", "c=3, r=3, cached", "cached:c=3,r=3", "anchored-lbfgs", 400)
TEN_COPIES = Contender("coded-10", "c=10, r=2, cached", "cached:c=10,r=2", "anchored-lbfgs", 400)
UNCODED_CACHED = Contender(
    "cached", "uncoded, r=3, cached", "uncoded:r=3,cache=sag", "anchored-lbfgs", 600
)
UNCODED = Contender("uncoded", "uncoded, all", "uncoded", "lbfgs", 150, 300.0)
EGC = Contender("egc", "egc, c=3", "egc:c=3", "lbfgs", 150, 100.0)
DESCENT = Contender(
    "descent",
    "gradient descent, c=3, r=2, cached",
    "agc:c=3,r=2,cache=sag",
    "gradient-descent",
    300,
)
NESTEROV = {
    r: Contender(
        f"nesterov-{r}",
        f"Nesterov, c=3, r={r}, cached",
        f"agc:c=3,r={r},cache=sag",
        "nesterov",
        300,
        100.0,
    )
    for r in (5, 11)
}
FIRST_ORDER = (*NESTEROV.values(), DESCENT)
EARLIER_PREFIX = "earlier-"
EARLIER = tuple(
    replace(
        each,
        name=f"{EARLIER_PREFIX}{each.name}",
        title=f"{each.title}, earlier build",
        earlier=True,
    )
    for each in FIRST_ORDER
)
CONTENDERS = (OURS, TEN_COPIES, UNCODED_CACHED, EGC, UNCODED, *FIRST_ORDER, *EARLIER)

BY_MANNER: Mapping[str, Sequence[Contender]] = {
    "iid": CONTENDERS,
    "slow": (OURS, UNCODED_CACHED),
    "dead": (OURS, UNCODED_CACHED),
}


@dataclass(frozen=True)
class Trial:
    """One run."""

    data_set: DataSet
    manner: str
    contender: Contender
    seed: int

    @property
    def rounds(self) -> int:
        """How many rounds it takes at most."""
        return round(self.contender.rounds * self._longer)

    @property
    def most_s(self) -> float:
        """How many seconds it takes at most."""
        return self.contender.most_s * self._longer

    @property
    def _longer(self) -> float:
        name = self.contender.name.removeprefix(EARLIER_PREFIX)
        return self.data_set.longer.get(name, 1.0)

    def __str__(self) -> str:
        return f"{self.data_set.name}, {self.manner}, {self.contender.title}, seed {self.seed}"


def build_trials(
    sets: Sequence[str],
    manners: Sequence[str],
    contenders: Sequence[str],
    seeds: int,
    *,
    earlier: bool,
) -> list[Trial]:
    """Return runs, those that matter most first; empty lists of names stand for all there are.

    With `earlier`, those of an earlier build are among them, in turns with ours.

    Raises
    ------
    UsageError: an unknown name, or one of an earlier build, and there is none.
    """
    known = {each.name: each for each in DATA_SETS}
    _check("data set", sets, list(known))
    _check("setting", manners, list(MANNERS))
    _check("method", contenders, [each.name for each in CONTENDERS])
    for each in () if earlier else EARLIER:
        if each.name in contenders:
            raise UsageError(
                f"method '{each.name}' is run by an earlier build; name its checkout with --against"
                " DIR"
            )

    def found() -> Iterator[Trial]:
        for seed in range(seeds):
            for manner, those in BY_MANNER.items():
                for name in known:
                    for contender in those:
                        if earlier or not contender.earlier:
                            yield Trial(known[name], manner, contender, seed)

    def rank(trial: Trial) -> int:
        return CONTENDERS.index(OURS if trial.contender.earlier else trial.contender)

    return sorted(
        (
            trial
            for trial in found()
            if (not sets or trial.data_set.name in sets)
            and (not manners or trial.manner in manners)
            and (not contenders or trial.contender.name in contenders)
        ),
        key=rank,
    )


def _check(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UsageError(f"there is no {what} '{name}'{nearest(name, list(known))}")
