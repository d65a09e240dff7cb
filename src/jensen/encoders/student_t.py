"""The Student's t posterior, q(z|x) = prod_j t(z_j; v_j, m_j(x), s_j(x)).

Its tails are heavier than the normal's, as importance sampling needs in a proposal.
"""

from collections.abc import Callable
from typing import ClassVar, Literal

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr

from jensen._types import Array, Distribution, Float, Key
from jensen.distributions import StudentT as StudentTDistribution
from jensen.encoders._inputs import input_moments
from jensen.encoders._network import AbstractNetworkEncoder, check_max_log_scale
from jensen.likelihoods import DataSummary
from jensen.likelihoods._base import event_size
from jensen.networks import AbstractNetwork, Linear


class StudentT(AbstractNetworkEncoder):
    """Network and linear head for location and log scale, with `df` degrees of freedom.

    `learn_df` learns the degrees of freedom per dimension (the same for all data), starting at `df`
    and always above 2: at 2 and below there is no variance, and the KL from a normal prior is
    infinite, so that the bound would be -inf. For `input_transform` and `max_log_scale` see
    `AbstractNetworkEncoder`.

    Raises:
        ValueError: if df is not above 2, or an option is out of range.

    Example:
        encoder = StudentT((28, 28), 40, network=make, data=None, key=jr.key(0), df=5.0)
        encoder(x).sample(key)
    """

    richer_remedy: ClassVar[str] = "a richer posterior (--set encoder.name=full_normal, or flow)"

    head: Linear
    log_df_above_2: Float[Array, " latent"] | None
    df: float = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        latent_dim: int,
        network: Callable[..., AbstractNetwork],
        data: DataSummary | None,
        *,
        key: Key,
        df: float = 5.0,
        learn_df: bool = False,
        max_log_scale: float = 10.0,
        input_transform: Literal["none", "log1p"] = "none",
    ):
        if not 2 < df < float("inf"):
            raise ValueError(
                f"encoder student_t: df must be above 2 and finite; got {df}. At 2 and below the "
                "posterior has no variance and its KL from a normal prior is infinite; for "
                "infinite df use --set encoder.name=diagonal_normal."
            )
        key_network, key_head = jr.split(key)
        self.max_log_scale = check_max_log_scale("student_t", max_log_scale)
        self.network = network(event_size(event_shape), key=key_network)
        self.head = Linear(self.network.out_size, 2 * latent_dim, key=key_head)
        self.df = df
        # df = 2 + exp(log_df_above_2): positive by construction, without a constraint.
        self.log_df_above_2 = jnp.full(latent_dim, jnp.log(df - 2)) if learn_df else None
        self.data_mean, self.data_scale = input_moments(
            "student_t", event_shape, data, input_transform
        )
        self.input_transform = input_transform

    def __call__(self, x: Array) -> Distribution:
        loc, log_scale = self.head(self.features(x)).reshape(2, -1)
        df = (
            jnp.full_like(loc, self.df)
            if self.log_df_above_2 is None
            else 2 + jnp.exp(self.log_df_above_2)
        )
        return StudentTDistribution(df, loc, self.scale(log_scale))
