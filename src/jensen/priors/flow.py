"""The flow prior, p(z) = N(f^-1(z); 0, I) |det df^-1/dz|: a normal pushed through coupling layers.

Dinh et al. 2017, Durkan et al. 2019; the flows are FlowJAX's. Each layer leaves one half of the
dimensions unchanged and maps the other half elementwise, with parameters that a network computes
from the unchanged half; then the dimensions are rotated by one half. Densities are exact, and
evaluating them takes one pass in the direction that needs no inversion.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Distribution, Key
from jensen.priors._base import AbstractPrior


class Flow(AbstractPrior):
    """Coupling flow of `num_layers` layers; it starts as exactly N(0, I).

    Args:
        latent_dim, key: see `AbstractPrior`.
        transform: 'affine' (RealNVP), or 'spline', a monotone rational quadratic spline with
            `knots` inner knots on [-interval, interval] and the identity outside.
        num_layers: number of coupling layers.
        hidden: width of each layer's network, which has one hidden layer.
        knots, interval: see `transform`.

    Raises:
        ValueError: if there are fewer than two latent dimensions, an option is out of range, or
            FlowJAX is not installed.

    Example:
        Flow(16, key=jr.key(0), num_layers=8)(encoder).log_prob(z)
    """

    refit_remedy: ClassVar[str] = "more layers: --try flow --set prior.num_layers=16; or --try vamp"
    retrain_remedy: ClassVar[str] = "more layers: --set prior.num_layers=16; or --prior vamp"

    flow: Any

    def __init__(
        self,
        latent_dim: int,
        *,
        key: Key,
        transform: Literal["affine", "spline"] = "spline",
        num_layers: int = 8,
        hidden: int = 64,
        knots: int = 8,
        interval: float = 5.0,
    ):
        try:
            from flowjax import bijections
            from flowjax.distributions import StandardNormal, Transformed
        except ImportError:
            raise ValueError(
                "prior flow needs the extra 'flows': pip install 'jensen[flows]'."
            ) from None
        for name, value in [("num_layers", num_layers), ("hidden", hidden), ("knots", knots)]:
            if value < 1:
                raise ValueError(f"prior flow: {name} must be at least 1; got {value}.")
        if not 0 < interval < float("inf"):
            raise ValueError(f"prior flow: interval must be positive and finite; got {interval}.")
        if latent_dim < 2:
            raise ValueError(
                "prior flow needs at least two latent dimensions, one to condition on; got "
                f"latent_dim={latent_dim}. Use --prior mixture."
            )
        # Minimal bins and slopes ten times FlowJAX's defaults, with which the float32 inverse, by
        # which samples are drawn, occasionally gives NaN.
        spline = partial(
            bijections.RationalQuadraticSpline,
            knots=knots,
            interval=float(interval),
            min_derivative=0.01,
            min_width=0.01,
        )
        element = bijections.Affine() if transform == "affine" else spline()

        # Rotated, not reversed: with an odd number of dimensions, reversal would leave the middle
        # one among the transformed dimensions in every layer, and nothing could depend on it.
        rotation = jnp.roll(jnp.arange(latent_dim), -(latent_dim // 2))

        def layer(key: Key):
            coupling = bijections.Coupling(
                key,
                transformer=element,
                untransformed_dim=latent_dim // 2,
                dim=latent_dim,
                nn_width=hidden,
                nn_depth=1,
            )
            # Start at the identity: with random last layers the first density is off by tens of
            # nats, and training pulls the encoder after it.
            coupling = eqx.tree_at(
                lambda c: (c.conditioner.layers[-1].weight, c.conditioner.layers[-1].bias),
                coupling,
                replace_fn=jnp.zeros_like,
            )
            return bijections.Chain([coupling, bijections.Permute(rotation)])

        layers = bijections.Scan(eqx.filter_vmap(layer)(jr.split(key, num_layers)))
        self.flow = Transformed(StandardNormal((latent_dim,)), bijections.Invert(layers))

    def __call__(self, encoder: Callable) -> Distribution:
        del encoder
        return self.flow
