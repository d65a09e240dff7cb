"""What can be done to one datum's weights before and after their mean is taken: Pareto smoothing, and the jackknife of the log."""

import math

import numpy as np
from scipy.special import logsumexp

from jensen.evidence._record import mean_weight, pareto_k, tail_size

SMOOTH_NOTE = "Pareto-smoothed weights: less noisy than raw ones, but their mean is no longer unbiased for p(x), and the value no lower bound in expectation."
JACKKNIFE_NOTE = "First-order jackknife: the bias of order 1/S is gone, and with it the guarantee that the value is a lower bound in expectation."


def summarise_corrected(
    log_w: np.ndarray, *, smooth: bool, correction: str
) -> tuple[np.ndarray, ...]:
    """(values, standard errors, effective samples, k-hat) of log-weights [data, S], per datum; k-hat is that of the raw weights.

    summarise_corrected(np.zeros((1, 100)), smooth=True, correction="none")
    """
    if smooth:
        smoothed, k = pareto_smoothed(log_w)
        return (*mean_weight(smoothed), k)
    value, error, effective = mean_weight(log_w)
    return (
        jackknifed(log_w, value) if correction == "jackknife" else value,
        error,
        effective,
        pareto_k(log_w),
    )


def pareto_smoothed(log_w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(log-weights [data, S] whose largest are the quantiles of the Pareto tail fitted to them, k-hat [data]) (Vehtari et al. 2024).

    The weights outside the tail, and so the scale, stay what they are. Raw weights are kept where there is nothing to fit: fewer than 25 samples, an equal
    tail, one that spans hundreds of nats, or so many weights of 0 that the tail is most of what is left.

        pareto_smoothed(log_w)[0]
    """
    from arviz_stats.base.array import array_stats

    out, k = np.array(log_w, np.float64), np.full(len(log_w), np.nan)
    if log_w.shape[1] < 25:  # no tail of five to fit
        return out, k
    for n, row in enumerate(np.asarray(log_w, np.float64)):
        k[n] = pareto_k(row[None])[0]
        if np.isinf(k[n]):
            continue
        with np.errstate(
            divide="ignore", invalid="ignore", over="ignore"
        ):  # weights of few discrete codes are equal by the dozen
            smoothed = array_stats.psislw(-row)[
                0
            ]  # arviz-stats wants -(log p - log q), and gives weights that sum to 1
        finite = np.isfinite(row)
        if not np.isnan(smoothed[finite]).any() and finite.sum() > 2 * tail_size(len(row)):
            out[n] = smoothed + np.median(
                row[finite] - smoothed[finite]
            )  # more than half of these were left alone: theirs is the scale
    return out, k


def jackknifed(log_w: np.ndarray, value: np.ndarray) -> np.ndarray:
    """S L_S - (S - 1) mean_i L_(S without i), where L_S = `value` is the log of the mean weight of log-weights [data, S] (Nowozin 2018, JVI-1).

    Where all weights but one are 0 the jackknife does not exist, and L_S stays.

        jackknifed(np.zeros((1, 10)), np.zeros(1))  # [0.0]
    """
    # L_(S without i) - L_S = log(1 - p_i) - log(1 - 1/S), with p_i = w_i / sum w: no difference of large numbers is left.
    samples, rows = log_w.shape[1], np.arange(len(log_w))
    largest = np.argmax(log_w, axis=1)
    share = np.exp(log_w - value[:, None] - math.log(samples))
    share[rows, largest] = 0.0
    others = np.array(log_w, np.float64)
    others[rows, largest] = -np.inf
    rest = (
        np.asarray(logsumexp(others, axis=1)) - value - math.log(samples)
    )  # log(1 - p_i) of the largest, whose p_i may round to 1
    mean = (np.log1p(-share).sum(axis=1) + rest) / samples
    return np.where(
        np.isfinite(rest), value - (samples - 1) * (mean - math.log1p(-1 / samples)), value
    )
