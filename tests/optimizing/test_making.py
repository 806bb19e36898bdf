"""What a user writes as optimizer and step."""

from __future__ import annotations

import numpy as np
import pytest

from erasurehead.errors import UsageError
from erasurehead.optimizing.base import Problem
from erasurehead.optimizing.making import automatic_step, make_method
from erasurehead.optimizing.nesterov import Nesterov
from erasurehead.optimizing.penalty import L2
from erasurehead.optimizing.steps import Constant, Inverse
from tests.support.quadratic import KnownCurvature


def problem(largest: float, l2: float) -> Problem:
    return Problem(np.zeros(2), L2(l2), KnownCurvature(np.diag([largest, 0.0])))


def test_an_automatic_step_is_one_over_the_largest_curvature() -> None:
    assert automatic_step("1/curvature", problem(3.0, 1.0)) == 0.25
    assert automatic_step("1/curvature", problem(2.0, 0.0)) == 0.5
    assert automatic_step("1/curvature", problem(0.0, 0.0)) == 1.0


def test_or_1_for_a_method_that_scales_its_direction() -> None:
    assert automatic_step(1.0, problem(3.0, 1.0)) == 1.0


def test_a_method_and_its_step_size() -> None:
    method, size = make_method("nesterov", "auto", problem(3.0, 1.0))
    assert isinstance(method, Nesterov)
    assert size == Constant(eta=0.25)
    assert make_method("gradient-descent", "inverse:eta=2", problem(3.0, 1.0))[1] == Inverse(eta=2)


@pytest.mark.parametrize(
    ("optimizer", "step", "sentence"),
    [
        ("adamax", "auto", "unknown optimizer 'adamax'"),
        ("nesterov:momentum=1", "auto", "optimizer 'nesterov' has no option 'momentum'"),
        ("nesterov", "automatic", "unknown step size 'automatic'"),
    ],
)
def test_what_does_not_exist_is_one_sentence(optimizer: str, step: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        make_method(optimizer, step, problem(3.0, 1.0))
