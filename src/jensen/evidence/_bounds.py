"""Bounds of a trained model: every bound you like, of the same log-weights, with a standard error."""

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jensen._types import Key
from jensen.bounds import AbstractBound
from jensen.evidence._streaming import stream_log_weights
from jensen.evidence.importance import Importance
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, silent


@dataclass(frozen=True)
class BoundValue:
    """A bound on data: its mean over them in nats per datum, the Monte Carlo standard error of that mean, and the values [N] per datum."""

    value: float
    standard_error: float
    values: np.ndarray


@guarded
def evaluate_bounds(
    model: Model,
    data: np.ndarray,
    bounds: Mapping[str, AbstractBound],
    *,
    key: Key,
    num_samples: int,
    repeats: int = 4,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
) -> dict[str, BoundValue]:
    """Each bound with `num_samples` samples per datum, at beta = 1, all on the same draws.

    Args:
        bounds: name -> bound.
        model: the model.
        data: [N, *event].
        key: with it, a datum's index and a sample's number everything random is determined.
        num_samples: K, the samples of one value.
        repeats: independent values per datum, averaged; their spread gives the standard error.
        chunk: how many (datum, sample) pairs are decoded at a time; bounds the memory, not the result.
        on_progress: called with what is being done, the number of data done, and N.

    Returns:
        name -> `BoundValue`.

    Raises:
        ValueError: a number of samples that a bound cannot take, fewer than 2 repeats, no data, or a log-weight that is NaN or +inf (the datum is named).

        evaluate_bounds(model, data.test, {"iwae": IWAE()}, key=jax.random.key(0), num_samples=50)["iwae"].value
    """
    for name, bound in bounds.items():
        reason = bound.objection(num_samples)
        if reason:
            raise ValueError(f"bound {name}: {reason.removeprefix(f'bound {name} ')}")
    if repeats < 2:
        raise ValueError(
            f"repeats must be at least 2, or there is no standard error; got {repeats}."
        )
    found: dict[str, list[np.ndarray]] = {name: [] for name in bounds}
    apply = {name: jax.jit(jax.vmap(jax.vmap(bound))) for name, bound in bounds.items()}
    done = 0
    for log_w in stream_log_weights(
        Importance(num_samples=num_samples * repeats), model, data, key, chunk
    ):
        with jax.enable_x64(True):
            groups = jnp.asarray(log_w.reshape(len(log_w), repeats, num_samples))
            for name in bounds:
                found[name].append(np.asarray(apply[name](groups)))
        done += len(log_w)
        on_progress("bounds", done, len(data))
    return {name: _summary(np.concatenate(parts)) for name, parts in found.items()}


def _summary(values: np.ndarray) -> BoundValue:
    n, repeats = values.shape
    return BoundValue(
        float(values.mean()),
        float(np.sqrt(values.var(axis=1, ddof=1).sum() / repeats) / n),
        values.mean(axis=1),
    )
