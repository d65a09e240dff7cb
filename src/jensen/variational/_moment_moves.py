"""How far the importance weights move the moments of q, with standard errors: the basis of the
verdicts on q's moments.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

BATCHES = 20
ROUNDING = 1e-13  # of a number: less spread than that is rounding


class MomentMoves(NamedTuple):
    """The differences from q's own moments to those by its importance weights, each [P].

    Attributes:
        mean: of the mean, in standard deviations of q.
        log_sd: of the log of the standard deviation.
        mean_error, log_sd_error: their standard errors. All are 0 for numbers that do not vary.
    """

    mean: np.ndarray
    log_sd: np.ndarray
    mean_error: np.ndarray
    log_sd_error: np.ndarray


def moment_moves(draws: Mapping[str, np.ndarray], importance: np.ndarray) -> MomentMoves:
    """Computes the moves from all draws [S, ...] with their weights [S].

    The standard errors come from batches of the draws, since plain and weighted moments of the same
    draws share most of their noise.

    moment_moves(fit.draws, fit.importance).mean.max()
    """
    parts = [_moves(values.reshape(len(values), -1), importance) for values in draws.values()]
    return MomentMoves(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _moves(values: np.ndarray, importance: np.ndarray) -> MomentMoves:
    with np.errstate(all="ignore"):  # draws at the end of the numbers, or without spread
        centre = values.mean(axis=0)
        sums = []  # [batches, 6, ...]: of plain and weighted powers 0, 1 and 2
        for rows in np.array_split(np.arange(len(values)), BATCHES):
            difference, weight = values[rows] - centre, importance[rows]
            square = np.square(difference)
            one = np.ones(values.shape[1])
            sums.append(
                (
                    one * len(rows),
                    difference.sum(axis=0),
                    square.sum(axis=0),
                    one * weight.sum(),
                    weight @ difference,
                    weight @ square,
                )
            )
        batches = np.array(sums)
        total = batches.sum(axis=0)
        sd = np.sqrt(total[2] / total[0] - np.square(total[1] / total[0]))
        mean, log_sd = _of_sums(total)
        of_batches = np.array([_of_sums(batch) for batch in batches])
        errors = of_batches.std(axis=0, ddof=1) / np.sqrt(BATCHES)
        constant = ~(sd > ROUNDING * np.abs(centre))
    moves = (np.where(constant, 0.0, a) for a in (mean, log_sd, *errors))
    return MomentMoves(*(np.nan_to_num(a, nan=0.0) for a in moves))


def _of_sums(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(moves of the mean and of the log standard deviation) by some draws' own moments alone."""
    plain, weighted = sums[1] / sums[0], sums[4] / sums[3]
    plain_variance = sums[2] / sums[0] - plain**2
    weighted_variance = sums[5] / sums[3] - weighted**2
    move = (weighted - plain) / np.sqrt(plain_variance)
    return move, 0.5 * np.log(weighted_variance / plain_variance)
