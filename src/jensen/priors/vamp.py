"""The variational mixture of posteriors, p(z) = sum_k w_k q(z | u_k).

Tomczak & Welling 2018, equation 9. The pseudo-inputs u_k are parameters, and stay in the data's
range: for data that the likelihood bounds on both sides, an unconstrained parameter is mapped onto
the likelihood's interval; other data use the parameter directly, in units of the data's standard
deviation.
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._rooms import nearest
from jensen._types import Array, Distribution, Float, Key
from jensen.datasets._numpy_files import read_npy
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.priors._base import AbstractPrior
from jensen.priors._pseudo_inputs import check_components, chosen_rows, mixture_of_posteriors


class Vamp(AbstractPrior):
    """Mixture of the encoder's posteriors at `num_components` learned pseudo-inputs.

    Each pseudo-input is encoded once per call.

    Args:
        event_shape, likelihood, data, key: see `AbstractPrior`.
        num_components: number of pseudo-inputs.
        initialise: 'random' starts near the data's mean (or `initial_mean`), 'data' at different
            training rows, a path that ends in .npy at your own pseudo-inputs: an array
            [num_components, *event] in the data's units.
        initial_mean: one number in the data's units, for initialise='random'.
        initial_spread: standard deviation of the normal noise added to the parameter. By default
            0.1 with 'random' (0.01 with onto_range='clip'), 0.01 with 'data', none with a file.
        onto_range: how bounded data stay in range: by a 'sigmoid', or by a 'clip', where the
            parameter is the pseudo-input itself and has no gradient beyond the range. The published
            form for static MNIST is onto_range='clip', initial_mean=0.05, initial_spread=0.01.
        learn_weights: whether the mixture weights are learned; they are equal otherwise.

    Raises:
        ValueError: if there are too few training rows, a value is out of range, or a file is
            unreadable, of the wrong shape or out of the data's range.

    Example:
        prior = Vamp((8, 8), likelihood, data=summary, key=jr.key(0), num_components=500)
        prior(encoder).log_prob(z)
    """

    refit_remedy: ClassVar[str] = "more components: --try vamp --set prior.num_components=1000"
    retrain_remedy: ClassVar[str] = (
        "more components: --set prior.num_components=1000; "
        "or learned weights: --set prior.learn_weights=true"
    )

    raw: Float[Array, "components *event"]
    logits: Float[Array, " components"] | None
    centre: Float[Array, "*event"]
    spread: Float[Array, "*event"]
    interval: tuple[float, float] | None = eqx.field(static=True)  # None: unbounded
    onto_range: Literal["sigmoid", "clip"] = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        likelihood: AbstractLikelihood,
        data: DataSummary | None,
        *,
        key: Key,
        num_components: int = 500,
        initialise: str = "random",
        initial_mean: float | None = None,
        initial_spread: float | None = None,
        onto_range: Literal["sigmoid", "clip"] = "sigmoid",
        learn_weights: bool = False,
    ):
        check_components("vamp", num_components)
        _check_start(initialise, initial_mean, initial_spread)
        zeros = np.zeros(event_shape, np.float32)
        mean, scale = (zeros, zeros + 1) if data is None else (data.mean, data.scale)
        # Half-bounded or unbounded data have no interval: a map onto the observed range would
        # exclude values that the likelihood allows.
        self.interval = likelihood.interval if np.isfinite(likelihood.interval).all() else None
        self.onto_range = onto_range
        if onto_range == "clip" and self.interval is None:
            raise ValueError(
                "prior vamp: onto_range='clip' is for data that the likelihood bounds on both "
                "sides; leave it out, these data need no range."
            )
        if self.interval is not None:
            self.centre, self.spread = jnp.asarray(zeros), jnp.asarray(zeros + 1)
            mean = zeros + np.float32(sum(self.interval) / 2) if data is None else mean
        else:
            self.centre, self.spread = jnp.asarray(mean), jnp.asarray(scale)
        key_choice, key_noise = jr.split(key)
        shape = (num_components, *event_shape)
        if initialise == "random":
            start, noise = (
                np.broadcast_to(mean if initial_mean is None else zeros + initial_mean, shape),
                0.01 if onto_range == "clip" else 0.1,
            )
        elif initialise == "data":
            data, index = chosen_rows(
                "vamp with initialise='data'", data, num_components, key_choice
            )
            start, noise = data.take(index), 0.01
        else:
            # A placeholder stands for a model whose arrays are restored: the file of pseudo-inputs
            # need not exist any more.
            restored = data is not None and data.placeholder
            start, noise = (
                np.broadcast_to(mean, shape)
                if restored
                else _read_pseudo_inputs(initialise, shape, self.interval or (-np.inf, np.inf)),
                0.0,
            )
        self.raw = self._to_raw(jnp.asarray(start)) + (
            noise if initial_spread is None else initial_spread
        ) * jr.normal(key_noise, shape)
        self.logits = jnp.zeros(num_components) if learn_weights else None

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        return mixture_of_posteriors("vamp", encoder, self.pseudo_inputs, self.logits)

    @property
    def pseudo_inputs(self) -> Float[Array, "components *event"]:
        """The pseudo-inputs u_1 ... u_K in the data's own units."""
        if self.interval is None:
            # The data's moments are units, not parameters: no gradient moves them.
            centre, spread = jax.lax.stop_gradient((self.centre, self.spread))
            return centre + spread * self.raw
        lower, upper = self.interval
        return lower + (upper - lower) * (
            jax.nn.sigmoid(self.raw) if self.onto_range == "sigmoid" else jnp.clip(self.raw, 0, 1)
        )

    def _to_raw(self, pseudo_inputs: Array) -> Array:
        if self.interval is None:
            return (pseudo_inputs - self.centre) / self.spread
        lower, upper = self.interval
        relative = (pseudo_inputs - lower) / (upper - lower)
        if self.onto_range == "clip":
            return relative
        # Off the ends of the sigmoid, where its gradient vanishes.
        clipped = jnp.clip(relative, 0.01, 0.99)
        return jnp.log(clipped) - jnp.log1p(-clipped)


def _check_start(initialise: str, initial_mean: float | None, initial_spread: float | None) -> None:
    names = ("random", "data")
    if initialise not in names and not initialise.endswith(".npy"):
        raise ValueError(
            "prior vamp: initialise must be one of random, data, or a path to a .npy file; got "
            f"{initialise!r}{nearest(initialise, names)}."
        )
    if initial_mean is not None and not (initialise == "random" and np.isfinite(initial_mean)):
        raise ValueError(
            f"prior vamp: initial_mean={initial_mean} needs initialise='random' and a finite "
            f"number; initialise is {initialise!r}."
        )
    if initial_spread is not None and not 0 <= initial_spread < np.inf:
        raise ValueError(
            f"prior vamp: initial_spread must be finite and not negative; got {initial_spread}."
        )


def _read_pseudo_inputs(
    path: str, shape: tuple[int, ...], bounds: tuple[float, float]
) -> np.ndarray:
    try:
        pseudo_inputs = read_npy(Path(path))  # a pickle could run foreign code
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(
            f"prior vamp: the pseudo-inputs {path} cannot be read ({error}). Write them with "
            f"numpy.save, as numbers {list(shape)}."
        ) from error
    if pseudo_inputs.shape != shape:
        raise ValueError(
            f"prior vamp: the pseudo-inputs {path} have shape {pseudo_inputs.shape}, but "
            f"num_components={shape[0]} of data of shape {shape[1:]} need {shape}. Reshape the "
            "array, or set num_components to its length."
        )
    dtype = pseudo_inputs.dtype
    if dtype.kind not in "buif" or not np.isfinite(pseudo_inputs).all():
        contents = f"{dtype} with NaN or inf" if dtype.kind == "f" else dtype
        raise ValueError(
            f"prior vamp: the pseudo-inputs {path} must be finite real numbers; got {contents}. "
            "Write them as float32."
        )
    outside = (pseudo_inputs < bounds[0]) | (pseudo_inputs > bounds[1])
    if outside.any():
        raise ValueError(
            f"prior vamp: {int(outside.sum())} of the pseudo-inputs {path} lie outside the data's "
            f"range {bounds[0]:g} to {bounds[1]:g}; the first is "
            f"{pseudo_inputs[outside][0]:g}. Give them in the data's own units."
        )
    return pseudo_inputs.astype(np.float32)
