"""Gradient codes; a family is one file and one line here.

A factory takes (n_workers, n_tasks, rng, probabilities): k, n or None for the code's natural
number, a generator, and the straggler probability of each slot where it is known, shape (k,).
"""

from erasurehead.coding.base import GradientCode
from erasurehead.coding.frc import frc
from erasurehead.coding.uncoded import uncoded
from erasurehead.registry import Registry

CODES: Registry[GradientCode] = Registry("code", {"uncoded": uncoded, "frc": frc})
