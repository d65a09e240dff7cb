"""How an approximation stands to reference draws, and what a mean-field family can reach at best."""

from dataclasses import dataclass

import numpy as np

from jensen.reproductions._posteriors._data import labels_of

PASSING_ERROR, PASSING_RATIO = 0.05, (0.95, 1.05)


@dataclass(frozen=True)
class Agreement:
    """An approximation's means and standard deviations against the reference's, a value for each element of the parameters.

    Attributes:
        labels: of the elements, from 1 on.
        mean_errors: (mean - reference mean) / reference sd.
        sd_ratios: sd / reference sd.
    """

    labels: tuple[str, ...]
    mean_errors: np.ndarray
    sd_ratios: np.ndarray

    @property
    def largest_mean_error(self) -> float:
        """max |mean error| / sd."""
        return float(np.max(np.abs(self.mean_errors)))

    @property
    def passes(self) -> bool:
        """Every mean within .05 sd, and every sd ratio within .95 and 1.05."""
        low, high = PASSING_RATIO
        return bool(
            self.largest_mean_error <= PASSING_ERROR
            and np.all((self.sd_ratios >= low) & (self.sd_ratios <= high))
        )


def agreement(
    mean: dict[str, np.ndarray], sd: dict[str, np.ndarray], reference: dict[str, np.ndarray]
) -> Agreement:
    """Means and standard deviations, each [*shape], against reference draws [chains, draws, *shape], by name.

    Raises:
        ValueError: a parameter of the reference that the approximation lacks, or of another shape.

        agreement(mean, sd, reference).largest_mean_error
    """
    labels, errors, ratios = [], [], []
    for name, draws in reference.items():
        shape = draws.shape[2:]
        if name not in mean or np.shape(mean[name]) != shape:
            got = f"of shape {np.shape(mean[name])}" if name in mean else "missing"
            raise ValueError(
                f"the reference has {name} of shape {shape}, which is {got} in the approximation ({', '.join(mean)})."
            )
        together = draws.reshape(-1, *shape)
        labels += labels_of(name, shape)
        scale = together.std(axis=0, ddof=1)
        errors.append(np.ravel((np.asarray(mean[name]) - together.mean(axis=0)) / scale))
        ratios.append(np.ravel(np.asarray(sd[name]) / scale))
    return Agreement(tuple(labels), np.concatenate(errors), np.concatenate(ratios))


def moments(
    draws: dict[str, np.ndarray], weights: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Means and standard deviations of draws [S, *shape] by name; of their distribution reweighted where there are `weights` [S] that sum to 1.

    moments({"sigma": np.array([1.0, 3.0])})[0]["sigma"]  # 2.0
    """
    if weights is None:
        return {k: v.mean(axis=0) for k, v in draws.items()}, {
            k: v.std(axis=0, ddof=1) for k, v in draws.items()
        }
    mean = {k: np.tensordot(weights, v, 1) for k, v in draws.items()}
    return mean, {
        k: np.sqrt(np.tensordot(weights, (v - mean[k]) ** 2, 1)) for k, v in draws.items()
    }


def as_matrix(draws: dict[str, np.ndarray], axes: int = 1) -> np.ndarray:
    """Draws by name, each with `axes` leading axes, as a matrix [draws, elements].

    as_matrix(reference, axes=2)
    """
    return np.concatenate(
        [v.reshape(int(np.prod(v.shape[:axes])), -1) for v in draws.values()], axis=1
    )


def predicted_sd_ratio(draws: np.ndarray) -> np.ndarray:
    """The sd ratios of the best mean-field normal if the posterior is normal with the covariance S of these draws: 1 / sqrt(S_jj (S^-1)_jj).

    Reverse KL gives each element its conditional variance 1 / (S^-1)_jj (Blei et al. 2017, section 2; Turner & Sahani 2011), the draws its marginal one, S_jj.

    Args:
        draws: [draws, D].

    Returns:
        [D], at most 1, whatever the units of the elements are.

    Raises:
        ValueError: fewer draws than elements + 1, or elements that are linearly dependent.

        predicted_sd_ratio(draws).min()
    """
    scale = draws.std(axis=0, ddof=1)
    if len(draws) <= draws.shape[1] or not np.all(scale > 0):
        raise ValueError(
            f"{len(draws)} draws of {draws.shape[1]} elements have no invertible covariance; wanted are more draws, of elements that all vary."
        )
    correlations = np.corrcoef(draws, rowvar=False).reshape(len(scale), len(scale))
    if np.linalg.matrix_rank(correlations) < len(scale):
        raise ValueError(
            f"the {len(scale)} elements are linearly dependent in these draws; leave out those that the others determine."
        )
    return 1 / np.sqrt(np.diag(np.linalg.inv(correlations)))
