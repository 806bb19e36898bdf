"""The aims, and the numbers that were reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from erasurehead_cli.reproduce.grid import AGC_AS_PUBLISHED, UNCODED, DataSet
from erasurehead_cli.reproduce.results import Measured, Results, Spread

EXACT = ("egc:c=3", "egc:c=2")
LEAST_AGC_OVER_UNCODED = 6.0
LEAST_AGC_OVER_EGC = 1.7
LEAST_OURS_OVER_UNCODED = 20.0
LEAST_OURS_OVER_EGC = 5.0
LEAST_AGC_WITHOUT_DELAYS = 1.0
MOST_OBJECTIVE = 1e-3


@dataclass(frozen=True)
class Claim:
    """One number against its bound.

    Attributes
    ----------
    ideal: the same number from the drawn delays alone, without any overhead.
    at_least: the bound is a least value, else a greatest.
    """

    data_set: DataSet
    scheme: str
    what: str
    found: Spread | None
    ideal: Spread | None
    bound: float
    at_least: bool = True

    @property
    def met(self) -> bool | None:
        """By the median; None where nothing was measured."""
        if self.found is None:
            return None
        median = self.found.median
        return median >= self.bound if self.at_least else median <= self.bound


def agc_claims(results: Results) -> Iterator[Claim]:
    """Yield what is asked of a round of ErasureHead under injected delays."""
    for data_set in results.sets("delays"):
        for label in results.labels(data_set, "delays"):
            if label in (AGC_AS_PUBLISHED, "agc:c=3,r=11"):
                yield from _per_round(results, data_set, label)


def our_claims(results: Results) -> Iterator[Claim]:
    """Yield what is asked of cached decoding under injected delays."""
    for data_set in results.sets("delays"):
        for label in results.labels(data_set, "delays"):
            cell = results.cells(data_set, "delays", label)[0].cell
            if cell.is_coded and cell.coding.remembers:
                yield from _to_target(results, data_set, label)


def undelayed_claims(results: Results) -> Iterator[Claim]:
    """Yield what is asked of ErasureHead without injected delays: to be no slower."""
    whats: dict[str, Callable[[Measured], float | None]] = {
        "a round": lambda m: results.per_round(m, UNCODED),
        "to the target": lambda m: results.to_value(m, [UNCODED], lambda one: one.target),
        "to 0.5 % of it": lambda m: results.to_value(m, [UNCODED], lambda one: one.near),
    }
    for data_set in results.sets("none"):
        for label in results.labels(data_set, "none"):
            if label.startswith("agc"):
                for what, value in whats.items():
                    found = results.spread(data_set, "none", label, value)
                    name = f"{what}, over {UNCODED}"
                    yield Claim(data_set, label, name, found, None, LEAST_AGC_WITHOUT_DELAYS)


def _per_round(results: Results, data_set: DataSet, label: str) -> Iterator[Claim]:
    for other, bound in ((UNCODED, LEAST_AGC_OVER_UNCODED), (EXACT[0], LEAST_AGC_OVER_EGC)):

        def measured(m: Measured, other: str = other) -> float | None:
            return results.per_round(m, other)

        def ideal(m: Measured, other: str = other) -> float | None:
            there = [b.ideal_round_s for b in results.beside(m, [other])]
            return there[0] / m.ideal_round_s if there and there[0] and m.ideal_round_s else None

        what = f"over {other}"
        yield _claim(results, data_set, label, what, (measured, ideal), bound)


def _to_target(results: Results, data_set: DataSet, label: str) -> Iterator[Claim]:
    bounds = (((UNCODED,), LEAST_OURS_OVER_UNCODED), (EXACT, LEAST_OURS_OVER_EGC))
    for others, bound in bounds:
        name = UNCODED if others == (UNCODED,) else "the best egc"
        for kind in ("target", "near"):

            def measured(
                m: Measured, others: tuple[str, ...] = others, kind: str = kind
            ) -> float | None:
                return results.to_value(m, others, lambda one: getattr(one, kind))

            def ideal(
                m: Measured, others: tuple[str, ...] = others, kind: str = kind
            ) -> float | None:
                return results.to_value(
                    m, others, lambda one: getattr(one, kind), lambda r: r.ideal_s
                )

            to = "to the target" if kind == "target" else "to 0.5 % of it"
            yield _claim(results, data_set, label, f"{to}, over {name}", (measured, ideal), bound)
    found = results.spread(data_set, "delays", label, results.objective_difference)
    what = "objective"
    yield Claim(data_set, label, what, found, None, MOST_OBJECTIVE, at_least=False)


def _claim(
    results: Results,
    data_set: DataSet,
    label: str,
    what: str,
    values: tuple[Callable[[Measured], float | None], Callable[[Measured], float | None]],
    bound: float,
) -> Claim:
    found, ideal = (results.spread(data_set, "delays", label, value) for value in values)
    return Claim(data_set, label, what, found, ideal, bound)
