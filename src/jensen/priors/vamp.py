"""The variational mixture of posteriors, p(z) = sum_k w_k q(z | u_k) (Tomczak & Welling 2018, equation 9).

The pseudo-inputs u_k are parameters. They live in the data's range: bounded data map an unconstrained parameter through a sigmoid onto the
likelihood's interval; data without bounds (or with one, such as counts) use it directly, in units of the data's standard deviation.
"""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import DiagonalNormalMixture, diagonal_normal_parameters
from jensen.likelihoods import AbstractLikelihood, DataSummary
from jensen.priors._base import AbstractPrior


class Vamp(AbstractPrior):
    """A mixture of the encoder's posteriors at `num_components` learned pseudo-inputs, each encoded once per call.

    `initialise='random'` starts near the data's mean, `'data'` at training rows plus noise. `learn_weights` also learns the mixture weights (equal otherwise).

        Vamp((8, 8), likelihood, data=summary, key=jr.key(0), num_components=500)(encoder).log_prob(z)
    """

    raw: Float[Array, "components *event"]
    logits: Float[Array, " components"] | None
    centre: Float[Array, "*event"]
    spread: Float[Array, "*event"]
    interval: tuple[float, float] | None = eqx.field(static=True)  # None: unbounded

    def __init__(
        self,
        event_shape: tuple[int, ...],
        likelihood: AbstractLikelihood,
        data: DataSummary | None,
        key: Key,
        *,
        num_components: int = 500,
        initialise: Literal["random", "data"] = "random",
        learn_weights: bool = False,
    ):
        if num_components < 1:
            raise ValueError(f"prior vamp: num_components must be at least 1; got {num_components}.")
        zeros = np.zeros(event_shape, np.float32)
        mean, scale = (zeros, zeros + 1) if data is None else (data.mean, data.scale)
        # Half-bounded or unbounded data: a sigmoid onto the observed range would forbid what the likelihood allows.
        self.interval = likelihood.interval if np.isfinite(likelihood.interval).all() else None
        if self.interval:
            mean = zeros + np.float32(sum(self.interval) / 2) if data is None else mean
            self.centre, self.spread = jnp.asarray(zeros), jnp.asarray(zeros + 1)
        else:
            self.centre, self.spread = jnp.asarray(mean), jnp.asarray(scale)
        key_choice, key_noise = jr.split(key)
        if initialise == "random":
            start, noise = np.broadcast_to(mean, (num_components, *event_shape)), 0.1
        else:
            start, noise = _data_rows(data, num_components, key_choice), 0.01
        self.raw = self._to_raw(jnp.asarray(start)) + noise * jr.normal(key_noise, (num_components, *event_shape))
        self.logits = jnp.zeros(num_components) if learn_weights else None

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        parameters = diagonal_normal_parameters(jax.vmap(encoder)(self.pseudo_inputs))
        if parameters is None:
            raise ValueError("prior vamp needs an encoder whose posterior is a diagonal normal; use --prior mixture with this one.")
        return DiagonalNormalMixture(*parameters, self.logits)

    @property
    def pseudo_inputs(self) -> Float[Array, "components *event"]:
        """u_1 ... u_K in the data's own units."""
        if self.interval:
            lower, upper = self.interval
            return lower + (upper - lower) * jax.nn.sigmoid(self.raw)
        centre, spread = jax.lax.stop_gradient((self.centre, self.spread))
        return centre + spread * self.raw

    def _to_raw(self, pseudo_inputs: Array) -> Array:
        if not self.interval:
            return (pseudo_inputs - self.centre) / self.spread
        lower, upper = self.interval
        clipped = jnp.clip((pseudo_inputs - lower) / (upper - lower), 0.01, 0.99)
        return jnp.log(clipped) - jnp.log1p(-clipped)


def _data_rows(data: DataSummary | None, num_components: int, key: Key) -> np.ndarray:
    rows = 0 if data is None else len(data.rows)
    if data is None or rows < num_components:
        raise ValueError(
            f"prior vamp: initialise='data' needs at least num_components={num_components} training rows; {rows} are at hand. "
            "Pass data=..., use fewer components, or initialise='random'."
        )
    return data.take(np.asarray(jr.permutation(key, rows))[:num_components])
