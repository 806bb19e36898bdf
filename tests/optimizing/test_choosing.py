"""Which method is taken when a user leaves that open."""

from __future__ import annotations

import pytest

from erasurehead.optimizing import METHODS
from erasurehead.optimizing.base import RoundKind
from erasurehead.optimizing.choosing import BY_MERIT, PROXIMAL_BY_MERIT, Chosen, choose

UNITS = RoundKind(False, 10, 2.8)
UNITS_AND_EXACT = RoundKind(True, 10, 10.0)
EXACT = RoundKind(True)
NOISY = RoundKind(False)
BATCHES = RoundKind(False, whole=False)
UNBIASED_BATCHES = RoundKind(False, whole=False, unbiased=True)


@pytest.mark.parametrize(
    ("rounds", "bounded", "name", "reason"),
    [
        (UNITS, True, "anchored-lbfgs", "remembered of 10 units"),
        (UNITS, False, "anchored-lbfgs", "remembered of 10 units"),
        (UNITS_AND_EXACT, True, "anchored-lbfgs", "remembered of 10 units"),
        (EXACT, True, "lbfgs", "every round has the full gradient"),
        (EXACT, False, "lbfgs", "every round has the full gradient"),
        (NOISY, True, "restarted-nesterov", "erasures leave rounds inexact"),
        (NOISY, False, "gradient-descent", "the curvature of the model has no bound"),
        (BATCHES, True, "diagonal", "every round is on other rows"),
        (BATCHES, False, "gradient-descent", "the curvature of the model has no bound"),
        (UNBIASED_BATCHES, False, "adam", "every round is on other rows"),
    ],
)
def test_what_rounds_give_decides(rounds: RoundKind, bounded: bool, name: str, reason: str) -> None:
    chosen = choose("auto", "auto", rounds, bounded=bounded)
    assert chosen.optimizer == name
    assert reason in chosen.reason


def test_what_a_user_names_is_taken() -> None:
    for rounds in (UNITS, EXACT, NOISY):
        assert choose("nesterov", "auto", rounds, bounded=True) == Chosen("nesterov")
        assert choose("lbfgs", "0.5", rounds, bounded=True) == Chosen("lbfgs")


def test_a_step_size_is_one_of_gradient_steps() -> None:
    for rounds in (UNITS, EXACT, NOISY):
        chosen = choose("auto", "0.5", rounds, bounded=True)
        assert chosen.optimizer == "gradient-descent"
        assert "the step size 0.5 is given" in chosen.reason


def test_the_name_of_what_is_chosen_has_no_options() -> None:
    assert choose("anchored-lbfgs:age=4", "auto", UNITS, bounded=True).name == "anchored-lbfgs"


def test_the_methods_by_merit_exist() -> None:
    assert {*BY_MERIT, *PROXIMAL_BY_MERIT, "adam"} <= set(METHODS)
