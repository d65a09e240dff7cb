"""A NumPyro model, its data given, as a target: densities, Jacobians and supports are numpyro's own."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer import Predictive, init_to_uniform
from numpyro.infer.util import _unconstrain_reparam, compute_log_probs  # pyright: ignore[reportPrivateUsage]
from numpyro.primitives import Messenger

from jensen._types import Array
from jensen.variational._array_conversions import keep_precisions_apart
from jensen.variational.target import Everything, Target


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Target:
    """A NumPyro model called with these arguments (its data among them) as a `Target`.

    Prior and likelihood are apart: the likelihood is that of the observed sites and of `numpyro.factor`. The constrained parameters are the latent sites;
    sites by `numpyro.deterministic` are among them, too. A site with an improper prior (`ImproperUniform`) leaves the evidence out.

    Raises:
        ValueError: no latent site, a discrete one, `numpyro.param` sites, plates that draw minibatches, or an observed site whose data are not finite.

        jensen.from_numpyro(model, x, y=y).names
    """
    keep_precisions_apart()
    with jax.enable_x64(True):  # as all that follows
        sites = _read(model, args, kwargs)
    keyed = handlers.seed(model, jr.key(0))

    def unravel(u: Array) -> dict[str, Array]:
        parts, at = {}, 0
        for name, shape in sites.shapes.items():
            parts[name] = u[at : at + math.prod(shape)].reshape(shape)
            at += math.prod(shape)
        return parts

    def traced(u: Array) -> tuple[dict[str, Array], dict[str, Any]]:
        """The log-densities of the sites at u, those of the Jacobians among them, and the trace: as in numpyro's potential energy, which keeps the sum."""
        return compute_log_probs(
            handlers.substitute(keyed, substitute_fn=partial(_unconstrain_reparam, unravel(u))),
            args,
            kwargs,
            {},
        )

    def log_density(u: Array) -> Array:
        return jnp.asarray(sum(traced(u)[0].values(), start=jnp.zeros((), u.dtype)))

    def everything(u: Array) -> Everything:
        terms, found = traced(u)
        zero = jnp.zeros((), u.dtype)
        log_prior = sum(
            (term for name, term in terms.items() if name not in sites.observed), start=zero
        )
        log_likelihood = sum(
            (term for name, term in terms.items() if name in sites.observed), start=zero
        )
        return Everything(
            {name: jnp.asarray(found[name]["value"]) for name in sites.constrained},
            jnp.asarray(log_prior),
            jnp.asarray(log_likelihood),
        )

    def predictive(key: Any, draws: dict[str, Array]) -> dict[str, Array]:
        return Predictive(_Forget(model), {name: draws[name] for name in sites.shapes})(
            key, *args, **kwargs
        )

    return Target(
        constrain=lambda u: everything(u).constrained,
        size=sum(math.prod(shape) for shape in sites.shapes.values()),
        log_density=log_density,
        log_prior=lambda u: everything(u).log_prior,
        log_likelihood=lambda u: everything(u).log_likelihood,
        everything=everything,
        coordinates=tuple(
            label for name, shape in sites.shapes.items() for label in _labels(name, shape)
        ),
        proper=sites.proper,
        predictive=predictive,
    )


@dataclass(frozen=True)
class _Sites:
    """What is read of a model: the latent sites with their unconstrained shapes, the observed ones, those whose values are the parameters (latent and
    deterministic, in the model's order), and whether all priors are proper."""

    shapes: dict[str, tuple[int, ...]]
    observed: tuple[str, ...]
    constrained: tuple[str, ...]
    proper: bool


def _read(model: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> _Sites:
    # Improper sites cannot be drawn, so values are made up as numpyro makes its starts. Nothing is computed: a model is hundreds of small programs.
    started = handlers.substitute(handlers.seed(model, jr.key(0)), substitute_fn=init_to_uniform)
    found = []

    def abstract() -> dict[str, Array]:
        trace = handlers.trace(started).get_trace(*args, **kwargs)
        latent = _latent(trace)
        data = {
            name: site["value"]
            for name, site in trace.items()
            if site["type"] == "sample" and site["is_observed"]
        }
        derived = {name: value for name, value in data.items() if isinstance(value, Tracer)}
        _refuse_data(
            {
                name: value
                for name, value in data.items()
                if name not in derived and not _is_factor(trace[name])
            }
        )
        found.append(
            _Sites(
                shapes={name: _unconstrained_shape(name, site) for name, site in latent.items()},
                observed=tuple(data),
                constrained=tuple(
                    name
                    for name, site in trace.items()
                    if name in latent or site["type"] == "deterministic"
                ),
                proper=not any(
                    type(_base(site["fn"])).__name__ == "ImproperUniform"
                    for site in latent.values()
                ),
            )
        )
        return {name: value for name, value in derived.items() if not _is_factor(trace[name])}

    if jax.eval_shape(abstract):
        _refuse_data(jax.jit(abstract)())
    return found[0]


def _unconstrained_shape(name: str, site: dict[str, Any]) -> tuple[int, ...]:
    try:
        return tuple(biject_to(site["fn"].support).inverse_shape(np.shape(site["value"])))
    except NotImplementedError as error:
        raise ValueError(
            f"site {name!r}: numpyro has no bijector to {site['fn'].support}. Write it as a transform of a real site."
        ) from error


def _refuse_data(data: dict[str, Any]) -> None:
    for name, values in data.items():
        value = np.asarray(values)
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            where = [int(i) for i in np.argwhere(~np.isfinite(value))[0]]
            raise ValueError(
                f"the data of site {name!r} are not finite at {where}: take such rows out, or model what is missing."
            )


def _labels(name: str, shape: tuple[int, ...]) -> list[str]:
    return [
        f"{name}[{','.join(map(str, index))}]" if shape else name for index in np.ndindex(shape)
    ]


def _base(fn: Any) -> Any:
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


class _Forget(Messenger):
    """Observed sites are drawn anew."""

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["is_observed"] and not _is_factor(msg):
            msg["is_observed"], msg["value"] = False, None


def _is_factor(site: dict[str, Any]) -> bool:
    return type(_base(site["fn"])).__name__ == "Unit"


def _latent(trace: dict[str, Any]) -> dict[str, Any]:
    latent = {
        name: s for name, s in trace.items() if s["type"] == "sample" and not s["is_observed"]
    }
    if params := [name for name, s in trace.items() if s["type"] == "param"]:
        raise ValueError(
            f"the model has parameters without a prior ({', '.join(params)}, numpyro.param): sample them from one, or fix them."
        )
    for name, site in trace.items():
        if site["type"] == "plate" and site["args"][1] not in (None, site["args"][0]):
            raise ValueError(
                f"plate {name!r} draws minibatches of {site['args'][1]} of {site['args'][0]}: the density would be a random one. Give the whole plate, or "
                "jensen.from_log_joint(log_prior=, log_likelihood=, data=), which makes minibatches by itself."
            )
    for name, site in latent.items():
        if site["fn"].support is not None and site["fn"].support.is_discrete:
            raise ValueError(
                f"site {name!r} is discrete ({type(_base(site['fn'])).__name__}): no family here has such codes. Sum it out, as a mixture does."
            )
    if not latent:
        raise ValueError(
            "the model has no latent site: everything is observed, and there is nothing to infer."
        )
    return latent
