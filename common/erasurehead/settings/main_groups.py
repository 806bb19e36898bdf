"""The groups of settings that say what is learnt, and how.

They are named after the part of a run that they choose, and after the library's folders where there
is one: a group called ``scheme`` would hold a setting called ``scheme``, and its name was a
setting's own while these settings stood at the root.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from erasurehead.settings.numbers import AUTO, WeightOrAuto
from erasurehead.settings.parts import (
    ConditionTexts,
    DelayText,
    ModelText,
    OptimizerText,
    SchemeText,
    StepText,
    TrackerTexts,
)
from erasurehead.settings.section import MainSection


class ProblemSettings(MainSection):
    """What is learnt, and from which rows."""

    store: str = Field(description="prepared data: a directory or any fsspec URL")
    model: ModelText | None = Field(
        None, description="what is fitted to the labels [default: the one for the store's labels]"
    )
    intercept: bool = Field(
        False,
        description="add an intercept to the model, which no penalty touches (data prepared from a"
        " table have a column of ones already, which the penalty touches)",
    )
    l2: WeightOrAuto = Field(
        AUTO,
        description="weight of (l2/2)||theta||^2 beside the mean loss (auto is 1/N for N training"
        " rows, scikit-learn's C=1)",
    )

    l1: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="weight of l1 ||theta||_1 beside it, by which parameters become 0; with l2, the"
        " elastic net",
    )

    def l2_weight(self, training_rows: int) -> float:
        """Return the weight of the penalty for so many rows."""
        return 1.0 / max(training_rows, 1) if self.l2 == AUTO else self.l2


class CodingSettings(MainSection):
    """How tasks are spread over workers, and when a round closes."""

    scheme: SchemeText = Field(
        "cached",
        description="a scheme by its short name or its parts, of which all but the code may be left"
        " out",
    )
    workers: int = Field(12, ge=1, description="slots of the code (k)")
    tasks: int | None = Field(
        None, ge=1, description="row blocks the data is cut into (n) [default: the code's own]"
    )


class StragglingSettings(MainSection):
    """Stragglers of our own making."""

    delay: DelayText = Field(
        "none", max_length=4096, description="injected delay (docs/simulator.md)"
    )


class DescentSettings(MainSection):
    """How the model moves, how often, and when it is looked at."""

    optimizer: OptimizerText = Field(
        AUTO,
        description="what a round's gradient does to the model (auto suits the scheme, and is"
        " gradient-descent if a step size is given)",
    )
    step: StepText = Field(
        "auto",
        description="step size (auto suits the optimizer: mostly 1 / largest curvature)",
    )
    batch: float = Field(
        1.0,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="share of its rows that every task uses in a round, other ones in each (below"
        " 1 for optimizers and schemes that remember no gradients of other rows)",
    )
    rounds: int = Field(300, ge=1, description="rounds to run at most")
    until: ConditionTexts = Field(
        ("gap:1e-3",),
        description="when the run is done before that; may be given several times, and the first"
        " condition that is met counts (docs/finishing.md)",
    )
    evaluate_every_rounds: int = Field(
        10, ge=1, description="rounds between evaluations on the test rows"
    )


class RunIdentitySettings(MainSection):
    """Which run of them all this is: its seed and its directory."""

    seed: int = Field(0, ge=0, lt=2**31, description="everything random derives from it")
    out: Path | None = Field(None, description="run directory to write [default: runs/...]")
    resume: bool = Field(
        False, description="go on with the run in the directory, or begin it if there is none"
    )
    track: TrackerTexts = Field(
        (),
        description="where the numbers of the rounds are kept besides the directory; may be given"
        " several times (docs/tracking.md) [default: nowhere]",
    )

    @field_validator("out", mode="before")
    @classmethod
    def _out_is_a_name(cls, given: object) -> object:
        # As a path it would be the working directory.
        if given == "":
            raise ValueError("out is empty and names no directory; name one, or leave it out")
        return given

    @model_validator(mode="after")
    def _run_is_named(self) -> RunIdentitySettings:
        if self.resume and self.out is None:
            raise ValueError(
                "resume goes on with the run in a directory, and none is named; name it by --out,"
                " or from Python by out="
            )
        return self
