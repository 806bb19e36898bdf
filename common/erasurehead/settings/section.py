"""What groups of settings have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MainSection(Section):
    """A group of which command line and environment leave the name out.

    Its settings are given so often that ``--rounds`` and ``ERASUREHEAD_ROUNDS`` are all there is;
    only YAML and Python say ``descent.rounds``.
    """

    # A step of 0.1 in YAML is a number, and the setting a text.
    model_config = ConfigDict(coerce_numbers_to_str=True)
