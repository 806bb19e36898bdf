"""Gradient codes; a family is one file and one line here.

A factory takes (n_workers, n_tasks, rng, probabilities): k, n or None for the code's natural
number, a generator, and the straggler probability of each slot where it is known, shape (k,).
"""

from erasurehead.coding.base import GradientCode
from erasurehead.coding.bernoulli import bernoulli, regularized_bernoulli, stochastic_block
from erasurehead.coding.coupon import coupon
from erasurehead.coding.cyclic import cyclic_repetition
from erasurehead.coding.cyclic_mds import cyclic_mds
from erasurehead.coding.design import design
from erasurehead.coding.expander import expander, graph
from erasurehead.coding.frc import frc
from erasurehead.coding.heterogeneous import heterogeneous
from erasurehead.coding.osgc import matched_cyclic, osgc
from erasurehead.coding.partial import partial
from erasurehead.coding.plain_sums import cyclic_sums, hybrid_sums
from erasurehead.coding.reed_solomon import reed_solomon
from erasurehead.coding.regular import pairwise_balanced, regular
from erasurehead.coding.uncoded import uncoded
from erasurehead.registry import Registry

CODES: Registry[GradientCode] = Registry(
    "code",
    {
        "uncoded": uncoded,
        "frc": frc,
        "cyclic-repetition": cyclic_repetition,
        "cyclic-mds": cyclic_mds,
        "reed-solomon": reed_solomon,
        "heterogeneous": heterogeneous,
        "partial": partial,
        "bernoulli": bernoulli,
        "regularized-bernoulli": regularized_bernoulli,
        "stochastic-block": stochastic_block,
        "regular": regular,
        "pairwise-balanced": pairwise_balanced,
        "expander": expander,
        "graph": graph,
        "design": design,
        "coupon": coupon,
        "cyclic-sums": cyclic_sums,
        "hybrid-sums": hybrid_sums,
        "osgc": osgc,
        "matched-cyclic": matched_cyclic,
    },
)
