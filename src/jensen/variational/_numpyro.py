"""Targets from NumPyro models with data. Densities, Jacobians and supports are numpyro's own."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from numpyro import handlers
from numpyro.infer import Predictive
from numpyro.infer.util import (
    _unconstrain_reparam,  # pyright: ignore[reportPrivateUsage]
    compute_log_probs,
)
from numpyro.primitives import Messenger

from jensen._types import Array
from jensen.variational._array_conversions import keep_precisions_apart
from jensen.variational._numpyro_sites import (
    PlainData,
    Sites,
    is_factor,
    numbers,
    outside_support,
    read_sites,
)
from jensen.variational.target import SiteTerms, Target, TargetEvaluation


def from_numpyro(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Target:
    """Makes a `Target` from a NumPyro model, called with these arguments (data included).

    Prior and likelihood are separate: the likelihood is that of the observed sites and of
    `numpyro.factor`. The constrained parameters are the latent sites; sites by
    `numpyro.deterministic` are derived from them. Of `sample(..., obs=y, obs_mask=mask)` the
    observed entries are data and the missing ones parameters; `Delta` sites are derived values.

    Fits report no evidence if a term of the log-density is not the log of a normalised density:
    sites with an improper prior (`ImproperUniform`), priors that are masked or scaled,
    likelihoods that are scaled, and `numpyro.factor`. Masked data are missing data: the
    evidence is that of the others.

    Data may be NumPy or JAX arrays, pandas Series, lists of numbers and arrays of objects.

    Raises:
        ValueError: no latent site, a discrete one, `numpyro.param` sites, plates that draw
            minibatches; an observed site whose data are not numbers, not finite, outside its
            support, or of a shape that makes them count more than once; arguments that JAX cannot
            compute with.

        jensen.from_numpyro(model, x, y=y).names
    """
    keep_precisions_apart()
    with jax.enable_x64(True):  # fits are in float64
        try:
            sites = read_sites(model, args, kwargs)
            return _target(model, args, kwargs, sites)
        except TypeError as error:
            first_error = error
        # Some models take lists or Series; where JAX fails with them they become arrays.
        args, kwargs = _as_arrays(args, kwargs)
        try:
            sites = read_sites(model, args, kwargs)
            return _target(model, args, kwargs, sites)
        except TypeError as error:
            first_line = (
                str(error if _differ(error, first_error) else first_error).strip().splitlines()[0]
            )
            raise ValueError(
                f"the model cannot be run with these arguments: {first_line} "
                f"({type(error).__name__}). Data must be arrays of numbers (NumPy, JAX, or a "
                "pandas Series of numbers), and what the model computes of parameters must be "
                "done by jax.numpy."
            ) from error


def _differ(error: TypeError, other: TypeError) -> bool:
    return type(error) is not type(other)


def _as_arrays(args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
    """Lists of numbers, arrays of objects and pandas columns as arrays of numbers."""

    def converted(what: str, value: Any) -> Any:
        plain = isinstance(value, list) and value and not isinstance(value[0], (str, dict))
        objects = isinstance(value, np.ndarray) and value.dtype.kind == "O"
        if plain or objects or hasattr(value, "to_numpy"):
            return numbers(what, value)
        return value

    return (
        tuple(converted(f"argument {i} of the model", value) for i, value in enumerate(args)),
        {name: converted(f"argument {name!r} of the model", v) for name, v in kwargs.items()},
    )


def _target(model: Callable[..., Any], args: tuple, kwargs: dict[str, Any], sites: Sites) -> Target:
    # JAX arrays, since a support whose bounds are traced parameters cannot compare NumPy arrays.
    keyed = PlainData(handlers.seed(model, jr.key(0)), jnp.asarray)

    def unravel(u: Array) -> dict[str, Array]:
        parts, at = {}, 0
        for name, shape in sites.shapes.items():
            entries = sites.entries.get(name)
            size = _size(sites, name)
            part = u[at : at + size]
            # Entries of observed events are not read: their terms are masked.
            parts[name] = (
                part.reshape(shape)
                if entries is None
                else jnp.zeros(shape, u.dtype).at[np.nonzero(entries)].set(part)
            )
            at += size
        return parts

    def traced(u: Array, *, summed: bool = True) -> tuple[dict[str, Array], dict[str, Any]]:
        """The log-densities of the sites at u, Jacobians included, and the trace, as numpyro's
        potential energy computes them.
        """
        at_u = handlers.substitute(keyed, substitute_fn=partial(_unconstrain_reparam, unravel(u)))
        terms, trace = compute_log_probs(at_u, args, kwargs, {}, sum_log_prob=summed)
        for name in sites.observed:
            if not is_factor(trace[name]):
                outside = outside_support(trace[name], traced=isinstance(u, Tracer))
                terms[name] += jnp.sum(outside) if summed else outside
        return terms, trace

    def log_density(u: Array) -> Array:
        return jnp.asarray(sum(traced(u)[0].values(), start=jnp.zeros((), u.dtype)))

    def evaluate(u: Array) -> TargetEvaluation:
        terms, trace = traced(u)
        zero = jnp.zeros((), u.dtype)
        log_prior = sum(
            (term for name, term in terms.items() if name not in sites.observed), start=zero
        )
        log_likelihood = sum(
            (term for name, term in terms.items() if name in sites.observed), start=zero
        )
        return TargetEvaluation(
            {name: jnp.asarray(trace[name]["value"]) for name in sites.constrained},
            jnp.asarray(log_prior),
            jnp.asarray(log_likelihood),
        )

    def site_terms(u: Array) -> SiteTerms:
        terms, trace = traced(u, summed=False)
        values = {n: trace[n]["value"] for n in terms if trace[n]["type"] == "sample"}
        observed = set(sites.observed)
        return {n: (jnp.asarray(terms[n]), jnp.asarray(values[n]), n in observed) for n in values}

    def predictive(key: Any, draws: dict[str, Array]) -> dict[str, Array]:
        latent = {name: draws[sites.imputed.get(name, name)] for name in sites.shapes}
        return Predictive(_RedrawObserved(model), latent)(key, *args, **kwargs)

    return Target(
        constrain=lambda u: evaluate(u).constrained,
        size=sum(_size(sites, name) for name in sites.shapes),
        log_density=log_density,
        log_prior=lambda u: evaluate(u).log_prior,
        log_likelihood=lambda u: evaluate(u).log_likelihood,
        evaluate=evaluate,
        coordinates=tuple(
            label for name, shape in sites.shapes.items() for label in _labels(sites, name, shape)
        ),
        proper=not sites.unnormalised,
        improper_because="; ".join(sites.unnormalised),
        derived=sites.derived,
        site_terms=site_terms,
        predictive=predictive,
    )


def _size(sites: Sites, name: str) -> int:
    return (
        int(sites.entries[name].sum()) if name in sites.entries else math.prod(sites.shapes[name])
    )


def _labels(sites: Sites, name: str, shape: tuple[int, ...]) -> list[str]:
    entries = sites.entries.get(name)
    return [
        f"{name}[{','.join(map(str, index))}]" if shape else name
        for index in np.ndindex(shape)
        if entries is None or entries[index]
    ]


class _RedrawObserved(Messenger):
    """Redraws observed sites, as many values as there are data."""

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["is_observed"] and not is_factor(msg):
            fn, shape = msg["fn"], np.shape(msg["value"])
            data = shape[: max(0, len(shape) - len(fn.event_shape))]
            batch = np.broadcast_shapes(data, tuple(fn.batch_shape))
            if batch != tuple(fn.batch_shape):  # one distribution for many data
                msg["fn"] = fn.expand(batch)
            msg["is_observed"], msg["value"] = False, None
