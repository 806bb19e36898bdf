"""Expected errors of codes and decoders in closed form."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csr_array

from erasurehead.arrays import FloatArray
from erasurehead.theory.moments import uncovered_probability


def independent_error(contributions: FloatArray, p: FloatArray) -> float:
    """Return E||g_hat - g||^2 = sum_i p_i/(1-p_i) ||v_i||^2 for independent stragglers.

    Fixed weights that are unbiased; v_i = E[what slot i contributes], rows of `contributions`,
    shape (k, n_parameters); `p` has shape (k,).
    """
    return float(np.sum(p / (1.0 - p) * np.sum(contributions**2, axis=1)))


def uniform_subset_error(contributions: FloatArray, n_arrivals: int) -> float:
    """Return E||(k/r) sum_{i in R} v_i - g||^2 for a uniform random r-subset R, g = sum_i v_i.

    v_i are the rows of `contributions`, shape (k, n_parameters).
    k^2 (1 - r/k)/r sum_i ||v_i - mean||^2 / (k-1): zero when all slots send the same vector, since
    arrivals that are counted are not independent.
    """
    k, r = len(contributions), n_arrivals
    spread = float(np.sum((contributions - contributions.mean(axis=0)) ** 2)) / max(1, k - 1)
    return k**2 * (1.0 - r / k) / r * spread


def subset_error(weighted: csr_array, n_arrivals: int) -> float:
    """Return E||alpha - 1||^2 / n of fixed weights for a uniform random r-subset of the slots.

    With u_i the rows of `weighted`, shape (k, n), alpha = sum_{i in R} u_i has the mean
    (r/k) sum_i u_i and the variance r (1 - r/k) sum_i ||u_i - mean||^2 / (k-1): arrivals that are
    counted are not independent.
    """
    k, n = weighted.shape
    r = n_arrivals
    sums = np.asarray(weighted.sum(axis=0)).ravel()
    spread = max(0.0, float(weighted.data @ weighted.data) - float(sums @ sums) / k)
    variance = r * (1.0 - r / k) * spread / max(1, k - 1)
    return float(variance + np.sum((r / k * sums - 1.0) ** 2)) / int(n)


def independent_subset_error(weighted: csr_array, p: FloatArray) -> float:
    """Return E||alpha - 1||^2 / n of fixed weights for slots that straggle independently.

    With u_i the rows of `weighted`, shape (k, n): sum_i p_i (1-p_i) ||u_i||^2 and the square of
    the bias, ||sum_i (1-p_i) u_i - 1||^2. Unbiased weights make it `independent_error` of v_i =
    (1-p_i) u_i.
    """
    squares = np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel()
    means = np.asarray((1.0 - p) @ weighted)
    variance = float(np.sum(p * (1.0 - p) * squares))
    return float(variance + np.sum((means - 1.0) ** 2)) / int(weighted.shape[1])


def coverage_error(covered: FloatArray) -> float:
    """Return E||alpha - 1||^2 / n of first-copy decoding scaled by B/m, for B equal blocks.

    sum_m P(m) (B-m)/m, and 1 where nothing is covered. `covered` is P(m), shape (B + 1,).
    """
    m = np.arange(1, len(covered))
    return float(covered[0] + covered[1:] @ ((len(m) - m) / m))


def least_error(missing: FloatArray) -> tuple[float, float]:
    """Return the least E||alpha - 1||^2 / n of any decoder, and of any unbiased one.

    `missing`, shape (n,), is the probability P_j that no slot that holds task j arrives. Then
    alpha_j = 0, so the error is at least the mean of P_j; and of alpha_j with mean 1 it is at least
    P_j/(1-P_j) (p^d/(1-p^d) of arXiv 2006.09638 for d independent copies).
    """
    with np.errstate(divide="ignore"):
        return float(missing.mean()), float(np.mean(missing / (1.0 - missing)))


def group_error(block_sums: FloatArray, erased: FloatArray) -> float:
    """Return E||g_hat - g||^2 = sum_b q_b/(1-q_b) ||g[b]||^2 of first-copy decoding, scale
    1/(1-q_b), for groups erased independently with probabilities `erased`, shape (B,)."""
    return float(np.sum(erased / (1.0 - erased) * np.sum(block_sums**2, axis=1)))


def correlated_norm(coefficients: FloatArray, correlation: float) -> FloatArray:
    """Return alpha Gamma alpha^T of each row for Gamma = (1-rho) I + rho 11^T, shape (k,)."""
    alone = np.sum(coefficients**2, axis=-1)
    together = np.sum(coefficients, axis=-1) ** 2
    return np.asarray((1.0 - correlation) * alone + correlation * together)


def repetition_errors(n_workers: int, c: int, n_arrivals: int) -> tuple[float, float]:
    """Return (one-step, optimal) E||alpha - 1||^2 / k of fractional repetition, n = k.

    arXiv 1711.06771, Section 3: (k-c)(k-r)/(r c (k-1)) and C(k-c, r)/C(k, r).
    """
    k, r = n_workers, n_arrivals
    one_step = (k - c) * (k - r) / (r * c * max(1, k - 1))
    return one_step, float(uncovered_probability(k, c, r))


def bernoulli_one_step_error(n_workers: int, c: float, n_arrivals: int) -> float:
    """Return one-step E||alpha - 1||^2 / k of the Bernoulli code, n = k:
    (k/(r c))^2 r (c/k)(1 - c/k), arXiv 1711.06771, Section 5."""
    k, r = n_workers, n_arrivals
    return (k / (r * c)) ** 2 * r * (c / k) * (1.0 - c / k)


def design_error(n_tasks: int, load: int, shared: int, n_arrivals: int) -> float:
    """Return ||alpha - 1||^2 = n - f l^2/(l + lambda (f-1)) of a block design after any f arrivals.

    arXiv 1904.13373. `load` is l, `shared` lambda, the tasks any two slots share.
    """
    f = n_arrivals
    return n_tasks - f * load**2 / (load + shared * (f - 1))


def expander_bound(second_eigenvalue: float, degree: int, n_workers: int, stragglers: int) -> float:
    """Return the bound (lambda/d) sqrt(k s/(k-s)) on ||alpha - 1|| of an expander code with
    weights k/(k-s), for any s < k stragglers (arXiv 1707.03858, Section 5)."""
    k, s = n_workers, stragglers
    return second_eigenvalue / degree * math.sqrt(k * s / (k - s))


def replication_bounds(p: float, copies: int) -> tuple[float, float]:
    """Return least E||alpha - 1||^2 / n with `copies` of each task: over all unbiased decoders,
    p^d/(1-p^d), and over those with fixed weights, p/(d(1-p)) (arXiv 2006.09638)."""
    all_late = p**copies
    return all_late / (1.0 - all_late), p / (copies * (1.0 - p))
