"""Mixtures of the encoder's posteriors at given inputs, p(z) = sum_k w_k q(z | u_k).

The priors vamp, vamp_data and aggregated share them.
"""

from collections.abc import Callable

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import mixture_of, stack
from jensen.likelihoods import DataSummary

ENCODE_BLOCK = 2048  # inputs that are encoded at a time


def mixture_of_posteriors(
    name: str,
    encoder: Callable[[Array], Distribution],
    pseudo_inputs: Array,
    log_weights: Float[Array, " components"] | None = None,
    *,
    levels: int | None = None,
) -> Distribution:
    """Make the mixture sum_k w_k q(z | u_k), each u_k encoded once.

    Beyond ENCODE_BLOCK inputs they are encoded in blocks, and the gradient encodes them again
    instead of storing every layer.

    Args:
        name: the prior's name, for messages.
        encoder: maps one datum to q(z|x).
        pseudo_inputs: [K, *event], of any dtype.
        log_weights: [K], not necessarily normalised; uniform when absent.
        levels: if given, a value v stands for v / levels.

    Returns:
        A `DiagonalNormalMixture`, or a `Mixture` of whatever family the encoder's posteriors are.

    Raises:
        ValueError: if the posteriors are not pytrees of arrays and cannot be stacked.

    Example:
        mixture_of_posteriors("vamp", encoder, pseudo_inputs).log_prob(z)
    """

    def posterior_at(u: Array) -> Distribution:
        # Rows stored as bytes are converted here, one block at a time.
        u = u if jnp.issubdtype(u.dtype, jnp.inexact) else u.astype(float)
        return encoder(u / levels if levels else u)

    try:
        posteriors = stack(posterior_at, pseudo_inputs, block=ENCODE_BLOCK)
    except ValueError as error:
        raise ValueError(
            f"prior {name} is a mixture of the encoder's posteriors, and cannot be made of these: "
            f"{error} Use --prior mixture."
        ) from error
    return mixture_of(posteriors, log_weights)


def chosen_rows(
    name: str, data: DataSummary | None, num_components: int, key: Key
) -> tuple[DataSummary, np.ndarray]:
    """Choose `num_components` different training rows by the key.

    Returns:
        The data, and the indices of the rows.

    Raises:
        ValueError: if there are fewer rows than components.

    Example:
        data, index = chosen_rows("vamp_data", data, 500, jr.key(0))
    """
    check_components(name, num_components)
    rows = 0 if data is None else len(data.rows)
    if data is None or rows < num_components:
        raise ValueError(
            f"prior {name} needs at least num_components={num_components} training rows; {rows} "
            "are available. Pass data=... to jensen.vae, or use fewer components."
        )
    return data, np.asarray(jr.permutation(key, rows))[:num_components]


def check_components(name: str, num_components: int) -> None:
    """Raise ValueError if there are no components."""
    if num_components < 1:
        raise ValueError(f"prior {name}: num_components must be at least 1; got {num_components}.")
