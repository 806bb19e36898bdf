"""First copy: of each group of a repetition code the first arrival counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from erasurehead.arrays import FloatArray
from erasurehead.coding.base import GradientCode
from erasurehead.coding.options import checked_probabilities, numbers
from erasurehead.decoding.base import Decoder, DecoderContext, Decoding
from erasurehead.errors import UsageError
from erasurehead.theory.moments import uncovered_probability

GREATEST_WEIGHT = 20.0
"""Of a group, reached when it is erased in 95 % of rounds: 1/(1-q) of one that is erased more often
would let a rare arrival outweigh all others, and is infinite if it never answers."""


class FirstCopyDecoder(Decoder):
    """Streaming decoder of repetition codes; later copies of a covered block are dropped.

    After m of B blocks are covered (Y_b = 1), g_hat = sum_b s_b Y_b g[b] with s_b by `scale`:

    * ``none``: 1, as Algorithm 1 of arXiv 1901.09671; E[g_hat] is (1-p) times the gradient.
    * ``unbiased``: 1/(1-p_b), p_b = C(k - l_b, r)/C(k, r) for a group of l_b slots (Lemma 2);
      unbiased for the stop rule ``fraction``, but above 1 even when everything arrived.
    * ``group``: 1/(1-q_b), q_b the share of rounds without an arrival of the group, as it is learnt
      from whole groups; unbiased whatever closes the rounds. With `p`, q_b is the product of the
      group's straggler probabilities; unbiased if slots straggle independently.
    * ``coverage``: tasks over covered tasks, which is B/m for equal blocks; exact when m = B, and
      unbiased given m when all blocks are equally likely to be covered.

    Where slots send task by task, groups are those of the parts that hold a task.

    Parameters
    ----------
    code: a repetition code.
    context: `unbiased` needs `stop_arrivals`; `group` needs `group_weights`, unless `p` is given.
    p: straggler probabilities, ``0.3`` or ``0.1/0.2/...``, instead of what is learnt.

    Raises
    ------
    UsageError: the code has no groups of equal slots, or the context lacks what `scale` needs; or
        `scale` takes how often a slot is late, and parts of it are late more or less often.
    """

    sums_first_copies = True
    exact_when_decodable = True
    may_leave_tasks_out = False

    def __init__(
        self,
        code: GradientCode,
        context: DecoderContext,
        *,
        scale: Literal["none", "unbiased", "group", "coverage"] = "none",
        p: str | None = None,
    ) -> None:
        groups = code.groups
        if groups is None:
            raise UsageError(
                f"decoder 'first-copy' needs groups of workers with equal tasks, which code"
                f" '{code.name}' has not; use it with uncoded, frc or coupon, or use least-squares"
            )
        super().__init__(code)
        self.groups = groups
        self.scale = scale
        self._group_weights: Callable[[], FloatArray] | None = None
        self._group_of_symbol: list[int] = groups.of_symbol.tolist()
        self._block_of_task = groups.of_task
        self._block_sizes = groups.block_sizes
        self._size: list[int] = groups.block_sizes.tolist()
        self._n_coverable = int(np.count_nonzero(groups.sizes))
        self._weights = np.ones(groups.count)
        if p is not None and scale != "group":
            raise UsageError(
                f"p={p} of decoder 'first-copy' is for scale=group, and the scale is {scale};"
                " leave it out or use scale=group"
            )
        if code.counts_parts and (scale == "unbiased" or p is not None):
            raise UsageError(
                f"scale={scale}{'' if p is None else ' with p'} of decoder 'first-copy' knows how"
                f" often whole results are late, and code '{code.name}' with parts=tasks sends task"
                " by task; use scale=coverage, or scale=group without p"
            )
        if scale == "unbiased":
            if context.stop_arrivals is None:
                raise UsageError(
                    "scale=unbiased of decoder 'first-copy' is 1/(1-p) for a fixed number r of"
                    " arrivals, which the stop rule does not have; use stop rule fraction:r=..."
                    " or scale=coverage"
                )
            missed = uncovered_probability(code.n_workers, groups.sizes, context.stop_arrivals)
            self._weights = 1.0 / (1.0 - np.where(missed < 1.0, missed, 0.0))
        elif scale == "group" and p is not None:
            given = checked_probabilities(numbers(p, code.n_workers, "p"), code.n_workers)
            erased = np.ones(groups.count)
            np.multiply.at(erased, groups.of_symbol, given)
            self._weights = 1.0 / np.maximum(1.0 - erased, 1.0 / GREATEST_WEIGHT)
        elif scale == "group":
            self._group_weights = context.group_weights
            if self._group_weights is None:
                raise UsageError(
                    "scale=group of decoder 'first-copy' needs to know how often each group is"
                    " erased, which is not learnt here; give straggler probabilities as p=0.3 or"
                    " use scale=coverage"
                )
        self.uses_probabilities = self._group_weights is not None
        # Groups of as many slots are heard as often, if each task is the first of as many, and so
        # on. The scale of `coverage` depends on which are.
        places = np.zeros((groups.count, code.n_parts))
        np.add.at(places, (groups.of_symbol, np.arange(code.n_symbols) % code.n_parts), 1)
        alike = not np.ptp(places, axis=0).any()
        if scale == "coverage":
            alike &= np.ptp(groups.block_sizes) == 0
        # No weight makes up for a block that no slot holds.
        held = self._n_coverable == groups.count
        self.unbiased = held and (scale in ("unbiased", "group") or bool(alike))
        self._weight: list[float] = self._weights.tolist()
        self.begin()

    @property
    def fixed_weights(self) -> FloatArray | None:
        """The weight of each block, shape (B,), where it is the same in every round."""
        constant = self.scale != "coverage" and self._group_weights is None
        return self._weights if constant else None

    def begin(self) -> None:
        """Start a round with no arrivals."""
        if self._group_weights is not None:
            self._weights = np.minimum(self._group_weights(), GREATEST_WEIGHT)
            self._weight = self._weights.tolist()
        self._covered = bytearray(len(self._size))
        self._n_missing = self._n_coverable
        self._n_covered_tasks = 0
        self._weight_sum = 0.0
        self._square_sum = 0.0

    def arrive(self, symbol: int) -> float | None:
        """Take one symbol: the block's weight for its first copy, else 0.0."""
        group = self._group_of_symbol[symbol]
        if self._covered[group]:
            return 0.0
        self._covered[group] = 1
        self._n_missing -= 1
        size, weight = self._size[group], self._weight[group]
        self._n_covered_tasks += size
        self._weight_sum += size * weight
        self._square_sum += size * weight * weight
        return weight

    @property
    def exact(self) -> bool:
        """True when every block that has a slot is covered."""
        return self._n_missing == 0

    def error(self) -> float:
        """Return ||alpha - 1||^2 / n from running sums."""
        s, n = self._common_scale(), len(self._block_of_task)
        return max(0.0, s * s * self._square_sum / n - 2.0 * s * self._weight_sum / n + 1.0)

    def finish(self) -> Decoding:
        """Close the round and return its weights."""
        covered = np.frombuffer(bytes(self._covered), dtype=np.uint8)
        scale = self._common_scale()
        per_block: FloatArray = scale * self._weights * covered
        alpha = per_block[self._block_of_task]
        return Decoding(
            scale=scale,
            task_weights=alpha,
            decode_error=float(self._block_sizes @ (per_block - 1.0) ** 2) / len(alpha),
            amplification=float(per_block.max(initial=0.0)),
            erased_tasks=len(alpha) - self._n_covered_tasks,
        )

    def _common_scale(self) -> float:
        if self.scale == "coverage" and self._n_covered_tasks:
            return len(self._block_of_task) / self._n_covered_tasks
        return 1.0
