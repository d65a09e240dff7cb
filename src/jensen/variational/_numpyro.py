"""A NumPyro model, its data given, as a target: densities, Jacobians and supports are numpyro's own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from numpyro import handlers
from numpyro.distributions import biject_to
from numpyro.infer import Predictive, init_to_uniform
from numpyro.infer.util import compute_log_probs, constrain_fn, potential_energy
from numpyro.primitives import Messenger

from jensen._types import Array
from jensen.variational.target import Target


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Target:
    """A NumPyro model called with these arguments (its data among them) as a `Target`.

    Prior and likelihood are apart: the likelihood is that of the observed sites and of `numpyro.factor`. The constrained parameters are the latent sites;
    sites by `numpyro.deterministic` are among them, too. A site with an improper prior (`ImproperUniform`) leaves the evidence out.

    Raises:
        ValueError: no latent site, a discrete one, `numpyro.param` sites, plates that draw minibatches, or an observed site whose data are not finite.

        jensen.from_numpyro(model, x, y=y).names
    """
    # Improper sites cannot be drawn, so values are made up as numpyro makes its starts.
    started = handlers.substitute(handlers.seed(model, jr.key(0)), substitute_fn=init_to_uniform)
    with jax.enable_x64(True):  # as all that follows: JAX keeps programs of single precision that it has traced with the same arrays
        trace = handlers.trace(started).get_trace(*args, **kwargs)
    latent = _latent(trace)
    shapes = {}
    for name, site in latent.items():
        try:
            shapes[name] = np.zeros(biject_to(site["fn"].support).inverse_shape(np.shape(site["value"])))
        except NotImplementedError as error:
            raise ValueError(f"site {name!r}: numpyro has no bijector to {site['fn'].support}. Write it as a transform of a real site.") from error
    size = sum(a.size for a in shapes.values())
    coordinates = tuple(label for name, a in shapes.items() for label in _labels(name, a.shape))
    observed = [name for name, site in trace.items() if site["type"] == "sample" and site["is_observed"]]
    keyed = handlers.seed(model, jr.key(0))

    def unravel(u: Array) -> dict[str, Array]:
        parts, at = {}, 0
        for name, blank in shapes.items():
            parts[name] = u[at : at + blank.size].reshape(blank.shape)
            at += blank.size
        return parts

    def log_density(u: Array) -> Array:
        return -jnp.asarray(potential_energy(keyed, args, kwargs, unravel(u)))

    def log_likelihood(u: Array) -> Array:
        params = constrain_fn(keyed, args, kwargs, unravel(u))
        found = compute_log_probs(keyed, args, kwargs, params, sum_log_prob=True)[0]
        return sum((found[name] for name in observed if name in found), start=jnp.zeros((), u.dtype))

    def constrain(u: Array) -> dict[str, Array]:
        found = constrain_fn(keyed, args, kwargs, unravel(u), return_deterministic=True)
        return {name: jnp.asarray(found[name]) for name in trace if name in found and (name in latent or trace[name]["type"] == "deterministic")}

    def predictive(key: Any, draws: dict[str, Array]) -> dict[str, Array]:
        return Predictive(_Forget(model), {name: draws[name] for name in latent})(key, *args, **kwargs)

    return Target(
        constrain=constrain,
        size=size,
        log_density=log_density,
        log_prior=lambda u: log_density(u) - log_likelihood(u),
        log_likelihood=log_likelihood,
        coordinates=coordinates,
        proper=not any(type(_base(site["fn"])).__name__ == "ImproperUniform" for site in latent.values()),
        predictive=predictive,
    )


def _labels(name: str, shape: tuple[int, ...]) -> list[str]:
    return [f"{name}[{','.join(map(str, index))}]" if shape else name for index in np.ndindex(shape)]


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
    latent = {name: s for name, s in trace.items() if s["type"] == "sample" and not s["is_observed"]}
    if params := [name for name, s in trace.items() if s["type"] == "param"]:
        raise ValueError(f"the model has parameters without a prior ({', '.join(params)}, numpyro.param): sample them from one, or fix them.")
    for name, site in trace.items():
        if site["type"] == "plate" and site["args"][1] not in (None, site["args"][0]):
            raise ValueError(
                f"plate {name!r} draws minibatches of {site['args'][1]} of {site['args'][0]}: the density would be a random one. Give the whole plate, or "
                "jensen.from_log_joint(log_prior=, log_likelihood=, data=), which makes minibatches by itself."
            )
    for name, site in latent.items():
        if site["fn"].support is not None and site["fn"].support.is_discrete:
            raise ValueError(f"site {name!r} is discrete ({type(_base(site['fn'])).__name__}): no family here has such codes. Sum it out, as a mixture does.")
    if not latent:
        raise ValueError("the model has no latent site: everything is observed, and there is nothing to infer.")
    for name, site in trace.items():
        if site["type"] == "sample" and site["is_observed"] and not _is_factor(site):
            value = np.asarray(site["value"])
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                where = [int(i) for i in np.argwhere(~np.isfinite(value))[0]]
                raise ValueError(f"the data of site {name!r} are not finite at {where}: take such rows out, or model what is missing.")
    return latent
