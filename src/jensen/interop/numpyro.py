"""A NumPyro model with an amortised guide as a `jensen.Model`, traced for one datum at a time. All
of it is JAX, so all gradients are available.

The model consists of the distributions of the traced sites; scales that plates put on log densities
(subsampling) do not enter. Plates must take their size from the data, since these are one datum.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpyro.distributions as dist
from numpyro import handlers

from jensen._parameters import constant
from jensen._rooms import nearest
from jensen._types import Array, Distribution
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal, full_normal, full_normal_parameters
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import AbstractPrior

Arguments = Callable[[Array], tuple[Any, ...]]


def from_numpyro_guide(
    model: Callable[..., Any],
    guide: Callable[..., Any],
    params: Mapping[str, Any],
    *,
    event_shape: tuple[int, ...],
    latent: str = "z",
    observed: str = "obs",
    arguments: Arguments = lambda x: (x,),
) -> Model:
    """Makes a `Model` from a NumPyro model and its amortised guide, trained by SVI.

    Args:
        model, guide: of data [batch, *event]; both call `numpyro.sample(latent, ...)`, the model
            `numpyro.sample(observed, ..., obs=...)` too. Networks may be numpyro.module, flax, stax
            or plain numpyro.param.
        params: the result of `svi.get_params`.
        event_shape: of one datum.
        latent, observed: the names of the two sites.
        arguments: x [1, *event] -> the arguments of model and guide, if they are not (x,).

    Returns:
        A `Model`: q(z|x) is the guide's site, p(z) and p(x|z) the model's.

    Raises:
        ValueError: a missing site or parameter, other random sites, a prior that depends on the
            data, randomness within a network (dropout), or sites whose batch is not the one datum.

        from_numpyro_guide(model, guide, svi_result.params, event_shape=(64,))
    """
    traced = _Traced(
        model,
        guide,
        tuple(event_shape),
        latent,
        observed,
        arguments,
        jax.tree.map(jnp.asarray, dict(params)),
    )
    _check(traced)
    return Model(GuidePrior(traced), GuideEncoder(traced, tuple(event_shape)), GuideDecoder(traced))


class _Traced(eqx.Module):
    """Model and guide with their parameters, traced for one datum."""

    model: Callable[..., Any] = eqx.field(static=True)
    guide: Callable[..., Any] = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    latent: str = eqx.field(static=True)
    observed: str = eqx.field(static=True)
    arguments: Arguments = eqx.field(static=True)
    params: dict[str, Any] = constant()

    def sites(self, which: str, x: Array, z: Array | None = None, seed: int = 0) -> dict[str, Any]:
        """Traces the sites of 'model' or 'guide' with x as the only datum, and with the code z if
        there is one.
        """
        values = dict(self.params) if z is None else self.params | {self.latent: z[None]}
        called = handlers.substitute(handlers.seed(getattr(self, which), jr.key(seed)), data=values)
        return handlers.trace(called).get_trace(*self.arguments(jnp.asarray(x)[None].astype(float)))

    @property
    def blank(self) -> Array:
        """A datum of zeros, for sites that do not depend on it."""
        return jnp.zeros(self.event_shape)


class GuideEncoder(AbstractEncoder):
    """q(z|x): the guide's latent site."""

    traced: _Traced
    foreign_shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Array) -> Distribution:
        return _of_one(self.traced.sites("guide", x)[self.traced.latent]["fn"])


class GuidePrior(AbstractPrior):
    """p(z): the model's latent site."""

    traced: _Traced

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return _of_one(self.traced.sites("model", self.traced.blank)[self.traced.latent]["fn"])


class GuideDecoder(AbstractDecoder):
    """p(x|z): the model's observed site."""

    traced: _Traced

    def __call__(self, z: Array) -> "ObservedSite":
        return ObservedSite(self.traced, z)


class ObservedSite(eqx.Module):
    """p(x|z) at one code. log_prob traces the model with x itself, so that it is right for models
    that read x, such as autoregressive ones, too.
    """

    traced: _Traced
    z: Array

    def log_prob(self, x: Array) -> Array:
        """log p(x|z), nats."""
        site = self.traced.sites("model", x, self.z)[self.traced.observed]
        return jnp.sum(site["fn"].log_prob(jnp.asarray(x)[None].astype(float)))

    @property
    def mean(self) -> Array:
        """E[x|z]."""
        return self._at_code().mean[0]

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        """x ~ p(x|z)."""
        draws = self._at_code().sample(key, sample_shape)
        return draws.reshape(sample_shape + self.traced.event_shape)

    def _at_code(self) -> Any:
        return self.traced.sites("model", self.traced.blank, self.z)[self.traced.observed]["fn"]


class _OneOf(eqx.Module):
    """The distribution of the only member of a batch of one."""

    batch: Any

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        return self.batch.sample(key, sample_shape).reshape(sample_shape + _code_shape(self.batch))

    def log_prob(self, value: Array) -> Array:
        shape = _code_shape(self.batch)
        leading = value.shape[: value.ndim - len(shape)]
        densities = self.batch.log_prob(
            value.reshape(leading + self.batch.batch_shape + self.batch.event_shape)
        )
        return densities.reshape(*leading, -1).sum(-1)

    @property
    def mean(self) -> Array:
        return self.batch.mean.reshape(_code_shape(self.batch))

    @property
    def support(self) -> Any:
        return self.batch.support


def _code_shape(batch: Any) -> tuple[int, ...]:
    """The distribution of one member as a vector; scalars in a plate of their own form a code."""
    return tuple(batch.batch_shape + batch.event_shape)[1:]


def _of_one(fn: Any) -> Distribution:
    """The distribution of one code from a site's [1, ...]; jensen's own class for normals."""
    shape = tuple(fn.batch_shape + fn.event_shape)
    base: Any = fn
    while isinstance(base, dist.Independent | dist.ExpandedDistribution):
        base = base.base_dist
    if isinstance(base, dist.Normal) and len(shape) == 2:
        loc, scale = (jnp.broadcast_to(jnp.asarray(a), shape)[0] for a in (base.loc, base.scale))
        return diagonal_normal(loc, scale)
    if (full := full_normal_parameters(base)) is not None and len(shape) == 2:
        return full_normal(
            jnp.broadcast_to(full[0], shape)[0], jnp.broadcast_to(full[1], (*shape, shape[1]))[0]
        )
    return _OneOf(jax.tree.map(jnp.asarray, fn))


def _check(traced: _Traced) -> None:
    blank, other = traced.blank, traced.blank + 1
    guide, model = _sites(traced, "guide", blank), _sites(traced, "model", blank)
    _check_sites("guide", guide, traced, [traced.latent])
    _check_sites("model", model, traced, [traced.latent, traced.observed])
    for which, sites in (("guide", guide), ("model", model)):
        fn = sites[traced.latent]["fn"]
        shape = tuple(fn.batch_shape + fn.event_shape)
        if len(shape) != 2 or shape[0] != 1:
            raise ValueError(
                f"site {traced.latent!r} of the {which} has shape {shape} for one datum, batch "
                "and event together; it must be (1, latent_dim). Plates must "
                "take their size from the data (numpyro.plate('data', x.shape[0])); if model "
                "and guide take other arguments than (x,), give arguments=."
            )
    observed = model[traced.observed]["fn"]
    if tuple(observed.batch_shape + observed.event_shape) != (1, *traced.event_shape):
        raise ValueError(
            f"site {traced.observed!r} has shape "
            f"{tuple(observed.batch_shape + observed.event_shape)} "
            "for one datum, batch and event together; it must be "
            f"{(1, *traced.event_shape)}, of which event_shape={traced.event_shape}."
        )
    z = _of_one(guide[traced.latent]["fn"]).sample(jr.key(0))
    prior = lambda x, seed=0: _of_one(  # noqa: E731
        traced.sites("model", x, seed=seed)[traced.latent]["fn"]
    ).log_prob(z)
    if not jnp.allclose(prior(blank), prior(other), rtol=1e-5, atol=1e-5):
        raise ValueError(
            f"site {traced.latent!r} of the model depends on the data: p(z|x) is no prior. The "
            "account is of a model p(z) p(x|z)."
        )
    for which, log_density in [
        (
            "guide",
            lambda seed: _of_one(
                traced.sites("guide", other, seed=seed)[traced.latent]["fn"]
            ).log_prob(z),
        ),
        (
            "model",
            lambda seed: (
                traced.sites("model", other, z, seed=seed)[traced.observed]["fn"]
                .log_prob(other[None])
                .sum()
            ),
        ),
    ]:
        if not jnp.allclose(log_density(0), log_density(1), rtol=1e-5, atol=1e-5):
            raise ValueError(
                f"the {which} gives other distributions for the same datum with another random "
                "key: probably dropout is on. Switch it off for evaluation."
            )


def _sites(traced: _Traced, which: str, x: Array) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            # numpyro's warnings about plates; the checks of shapes below cover them.
            warnings.simplefilter("ignore")
            return traced.sites(which, x)
    except ValueError:
        raise
    except Exception as error:
        message_lines = str(error).strip().splitlines()
        raise ValueError(
            f"the {which} cannot be run for one datum of shape {(1, *traced.event_shape)}: "
            f"{type(error).__name__}: {message_lines[0] if message_lines else ''} "
            "If it takes other arguments than (x,), give arguments=lambda x: (x, ...)."
        ) from error


def _check_sites(which: str, sites: dict[str, Any], traced: _Traced, expected: list[str]) -> None:
    random = [name for name, site in sites.items() if site["type"] == "sample"]
    for name, argument in zip(expected, ("latent", "observed"), strict=False):
        if name not in random:
            raise ValueError(
                f"the {which} has no sample site {name!r}{nearest(name, random)}; its sites: "
                f"{', '.join(random) or 'none'}. Give {argument}=."
            )
    if extra := [name for name in random if name not in expected]:
        raise ValueError(
            f"the {which} has further sample sites ({', '.join(extra)}): the account is of one "
            "latent site and one observed site alone."
        )
    missing = [
        name
        for name, site in sites.items()
        if site["type"] == "param" and name not in traced.params
    ]
    if missing:
        raise ValueError(
            f"the {which} has parameters that params lacks ({', '.join(missing)}): they would be "
            "at their initial values. Give what svi.get_params gives."
        )
