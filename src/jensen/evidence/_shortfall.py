"""How far below log p(x) an untrusted estimate may lie, as far as its own weights tell.

Above a k-hat of 0.7 the standard error of a log mean weight covers nothing: it is computed from the draws that came, and
for a weight that one draw dominates it is near 1 nat, however low the estimate is. What can be told is how fast the estimate
still rises. The tail of M of S weights is fitted by a Pareto distribution of shape k (Vehtari et al. 2024), whose mean,
as far as S draws see it, is in proportion to

    int_1^(M^k) u^(-1/k) du  ~  (M^(k-1) - 1) / (k - 1)

so that ten times as many draws, which see it to (10 M)^k, raise the tail's share of the mean weight by the ratio
((10 M)^(k-1) - 1) / (M^(k-1) - 1). For k >= 1 it rises without end. The tail's share of the mean weight follows from the
effective sample size: the i-th largest weight is near i^(-k) of the largest, and sum w^2 / (sum w)^2 - 1 / S, which is what the
weights vary, is near the sum of the tail's squares, so that

    share  =  (1 / ESS - 1 / S)^(1/2)  (sum_i i^(-k))  /  (sum_i i^(-2 k))^(1/2),    i = 1 ... M
"""

import numpy as np

ROWS = 4096  # data at a time, so that memory is bounded


def tenfold_rises(
    pareto_k: np.ndarray, effective_samples: np.ndarray, samples: np.ndarray
) -> np.ndarray:
    """Nats that ten times as many samples are expected to add to each log mean weight, [N]; inf where nothing tells.

    Args:
        pareto_k: [N], k-hat; NaN (too few samples for a tail) and +inf (one draw has all the weight) give inf.
        effective_samples: [N], (sum w)^2 / sum w^2.
        samples: [N], S.

        tenfold_rises(np.array([0.2, 1.7]), np.array([900.0, 1.5]), np.array([1000, 1000]))  # [0.002, 1.65]
    """
    tails = np.array([tail_size(int(s)) for s in samples], float)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        near, far = np.log(tails), np.log(10 * tails)
        ratio = np.where(
            np.abs(pareto_k - 1) < 1e-6, np.log(far / near), _log_ratio(pareto_k - 1, near, far)
        )
        spread = np.sqrt(np.maximum(1 / effective_samples - 1 / samples, 0))
        share = np.minimum(1.0, spread * _sum_over_norm(pareto_k, tails))
        rises = np.where(
            ratio < 50, np.log1p(share * np.expm1(np.minimum(ratio, 50))), ratio + np.log(share)
        )
    rises = np.where(pareto_k == -np.inf, 0.0, rises)
    return np.where(np.isnan(pareto_k) | (pareto_k == np.inf), np.inf, rises)


def _sum_over_norm(power: np.ndarray, tails: np.ndarray) -> np.ndarray:
    """Of i^(-power), i = 1 ... M: its sum over the square root of the sum of its squares, for each power and M."""
    place = np.arange(1, int(tails.max(initial=1)) + 1)
    out = np.empty(len(tails))
    for start in range(0, len(tails), ROWS):
        some = slice(start, start + ROWS)
        weights = place ** -np.maximum(power[some, None], 0.0) * (place <= tails[some, None])
        out[some] = weights.sum(axis=1) / np.sqrt(np.square(weights).sum(axis=1))
    return out


def _log_ratio(power: np.ndarray, near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """log of (e^(power far) - 1) / (e^(power near) - 1), for a power of either sign."""
    size = np.abs(power)
    rising = size * (far - near) + np.log1p(-np.exp(-size * far)) - np.log1p(-np.exp(-size * near))
    falling = np.log1p(-np.exp(-size * far)) - np.log1p(-np.exp(-size * near))
    return np.where(power > 0, rising, falling)


def tail_size(samples: int) -> int:
    """How many of the largest weights are the tail: min(S / 5, 3 sqrt S), at least 5 (Vehtari et al. 2024).

    tail_size(10_000)  # 300
    """
    return max(5, min(samples // 5, int(3 * samples**0.5)))
