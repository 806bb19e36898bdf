"""A scheme: which code, decoder, stop rule and gradient estimate a run uses."""

from __future__ import annotations

from dataclasses import dataclass

from erasurehead.registry import Spec

SUM = Spec("sum")
"""The plain gradient estimate, which remembers nothing."""


@dataclass(frozen=True)
class Scheme:
    """Four parts by name and options, before there is a cluster. A value: equal parts are equal.

    `erasurehead.schemes.shorthands` makes those of the papers, `erasurehead.schemes.text` reads and
    prints them, and `erasurehead.schemes.coding.Coding.of` fits one to a number of workers.
    """

    code: Spec
    decoder: Spec
    stop: Spec
    estimate: Spec = SUM
