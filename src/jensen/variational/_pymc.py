"""Targets from PyMC models with data: PyMC's graphs, compiled by PyTensor for JAX and compared with
PyMC's own compiled functions.
"""

import contextlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array
from jensen.variational.target import Target, TargetEvaluation

IMPROPER = ("FlatRV", "HalfFlatRV", "ICARRV")
# PyTensor stores short constants such as 5.0 in single precision, and their logarithms too, so that
# two compilations may differ by that much.
TOLERANCE = 1e-6
POINTS = 4  # places at which both densities are finite and compared
TRIES = 40  # places to try until there are so many


def from_pymc(model: Any) -> Target:
    """Makes a `Target` from a PyMC model, whose graphs run in JAX under jit, vmap and grad.

    u holds the model's value variables one after the other, in their order; the constrained
    parameters are its free variables and its deterministics, by their names. Prior and likelihood
    are separate: the likelihood is that of the observed variables and of the potentials. With
    `pm.Flat`, `pm.HalfFlat`, `pm.ICAR` or `pm.Potential` fits report no evidence. `pm.Data` are
    read once, here. Predictions are PyMC's (`pm.sample_posterior_predictive`).

    Everything is in float64. The function compares log-density, log-prior and constrained values
    with those that PyMC compiles itself, at several places, and refuses a difference above 1e-6,
    relative or absolute, so that no wrong sign, Jacobian or transform gets through.

    Raises:
        ValueError: PyMC is not installed (extra `pymc`), the argument is no model, no free
            variable, discrete ones, single precision, minibatches or other random numbers within
            the density, an operation that PyTensor cannot do in JAX, or a density that is not
            PyMC's.

        with pymc.Model() as model:
            pymc.Normal("y", pymc.Normal("mu", 0, 5), 1, observed=[1.0, 2.0])
        jensen.from_pymc(model).names  # ('mu',)
    """
    pymc, jaxified = _pymc()
    _check(pymc, model)
    start = {name: np.asarray(value) for name, value in model.initial_point(random_seed=0).items()}
    variables = list(model.free_RVs)
    initial_values = [start[model.rvs_to_values[v].name] for v in variables]
    inputs = [model.rvs_to_values[v] for v in variables]
    prior, likelihood, values = _graphs(model)
    names = [v.name for v in (*variables, *model.deterministics)]
    with jax.enable_x64(True):  # constants are made JAX's here, in the precision of the moment
        densities = _as_jax(jaxified, inputs, [prior, likelihood], model)
        constrained = _as_jax(jaxified, inputs, values, model)

    def split(u: Any) -> list[Any]:
        if u.dtype != np.float64:
            raise ValueError(
                f"a PyMC model's density is in float64; got u in {u.dtype}. Call it within "
                "jax.enable_x64(True), as fit_variational does by itself."
            )
        ends = np.cumsum([b.size for b in initial_values])
        return [
            u[end - b.size : end].reshape(b.shape)
            for b, end in zip(initial_values, ends, strict=True)
        ]

    def parts(u: Array) -> tuple[Array, Array]:
        log_prior, log_likelihood = densities(*split(u))
        return jnp.asarray(log_prior), jnp.asarray(log_likelihood)

    def log_density(u: Array) -> Array:
        log_prior, log_likelihood = parts(u)
        return log_prior + log_likelihood

    def constrain(u: Array) -> dict[str, Array]:
        return {
            name: jnp.asarray(value)
            for name, value in zip(names, constrained(*split(u)), strict=True)
        }

    _assert_same(model, [v.name for v in inputs], initial_values, split, parts, constrain)
    return Target(
        constrain=constrain,
        size=sum(b.size for b in initial_values),
        log_density=log_density,
        log_prior=lambda u: parts(u)[0],
        log_likelihood=lambda u: parts(u)[1],
        evaluate=lambda u: TargetEvaluation(constrain(u), *parts(u)),
        coordinates=tuple(
            f"{v.name}[{','.join(map(str, i))}]" if i else v.name
            for v, b in zip(variables, initial_values, strict=True)
            for i in np.ndindex(b.shape)
        ),
        proper=not (unnormalised := _unnormalised(model)),
        improper_because="; ".join(unnormalised),
        derived=tuple(v.name for v in model.deterministics),
        predictive=_predictive(pymc, model),
    )


def _unnormalised(model: Any) -> list[str]:
    """A sentence for each term that is not the log of a normalised density."""
    kinds = {v.name: type(v.owner.op).__name__ for v in model.free_RVs}
    return [
        f"the prior of {name!r} is improper (pm.{kind.removesuffix('RV')})"
        for name, kind in kinds.items()
        if kind in IMPROPER
    ] + [
        f"pm.Potential {v.name!r} adds any number, which need not be a log-density of data"
        for v in model.potentials
    ]


def _pymc() -> tuple[Any, Any]:
    """(pymc, its maker of JAX functions)."""
    try:
        with _unchanged():
            import pymc  # pyright: ignore[reportMissingImports]
            from pymc.sampling.jax import (  # pyright: ignore[reportMissingImports]
                get_jaxified_graph,
            )
    except ImportError as error:
        raise ValueError(
            "jensen.from_pymc needs PyMC, which is not installed: pip install 'jensen[pymc]'."
        ) from error
    return pymc, get_jaxified_graph


@contextlib.contextmanager
def _unchanged() -> Iterator[None]:
    """Importing PyMC's JAX path sets JAX's precision for the whole process and asks XLA for a
    hundred devices: both are set back.
    """
    # A new thread sees the process's precision, not that of a `with jax.enable_x64` around us.
    with ThreadPoolExecutor(1) as other_thread:
        precision = other_thread.submit(lambda: jax.config.values["jax_enable_x64"]).result()
    flags = os.environ.get("XLA_FLAGS")
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", precision)
        if flags is None:
            os.environ.pop("XLA_FLAGS", None)
        else:
            os.environ["XLA_FLAGS"] = flags


def _check(pymc: Any, model: Any) -> None:
    if not isinstance(model, pymc.Model):
        raise ValueError(
            "from_pymc needs a pymc.Model, as `with pymc.Model() as model:` makes it; got "
            f"{type(model).__name__}."
        )
    if not model.free_RVs:
        raise ValueError(
            "the model has no free variable: all are observed, and there is nothing to infer."
        )
    if discrete := [v.name for v in model.free_RVs if np.dtype(v.dtype).kind != "f"]:
        raise ValueError(
            f"variables {', '.join(discrete)} are discrete: families here are continuous. Sum "
            "them out, as pm.Mixture or pymc_extras.marginalize do."
        )
    if single := [v.name for v in model.value_vars if v.dtype != "float64"]:
        raise ValueError(
            f"variables {', '.join(single)} are in single precision, and fits are in float64: "
            "build the model with pytensor.config.floatX = 'float64'."
        )
    if scaled := [
        v.name for v in model.basic_RVs if type(v.owner.op).__name__ == "MinibatchRandomVariable"
    ]:
        raise ValueError(
            f"the density of {', '.join(scaled)} is scaled to total_size=, as minibatches "
            "(pm.Minibatch) want it: give all the data and no total_size, or "
            "jensen.from_log_joint(log_prior=, log_likelihood=, data=), which makes minibatches "
            "by itself."
        )


def _graphs(model: Any) -> tuple[Any, Any, list[Any]]:
    """(log p(u) with the Jacobian, log p(x|u), the constrained values), as PyTensor graphs of the
    value variables.
    """
    from pytensor.tensor import zeros  # pyright: ignore[reportMissingImports]

    likelihood_terms = [*model.observed_RVs, *model.potentials]
    likelihood = model.logp(vars=likelihood_terms) if likelihood_terms else zeros(())
    return (
        model.logp(vars=model.free_RVs),
        likelihood,
        model.replace_rvs_by_values([*model.free_RVs, *model.deterministics]),
    )


def _as_jax(jaxified: Any, inputs: list[Any], outputs: list[Any], model: Any) -> Any:
    from pytensor.graph.rewriting.utils import (  # pyright: ignore[reportMissingImports]
        rewrite_graph,
    )
    from pytensor.graph.traversal import graph_inputs  # pyright: ignore[reportMissingImports]
    from pytensor.tensor.random.type import RandomType  # pyright: ignore[reportMissingImports]

    if any(isinstance(v.type, RandomType) for v in graph_inputs(outputs)):
        raise ValueError(
            "the model draws random numbers within its density or its deterministics "
            "(pm.Minibatch, pm.Simulator): it would be another one at each call. Give "
            "all the data, or jensen.from_log_joint(log_prior=, log_likelihood=, data=), which "
            "makes minibatches by itself."
        )
    # PyMC's own compilation gives parameters out of range a density of 0; its JAX path would not
    # check them.
    checks = (
        "local_check_parameter_to_ninf_switch"
        if model.check_bounds
        else "local_remove_check_parameter"
    )
    try:
        return jaxified(
            inputs=inputs, outputs=rewrite_graph(outputs, include=("canonicalize", checks))
        )
    except NotImplementedError as error:
        raise ValueError(
            f"PyTensor cannot do an operation of this model in JAX: {error}. Write it by others, "
            "or as jensen.from_log_joint."
        ) from error


def _assert_same(
    model: Any,
    names: list[str],
    initial_values: list[np.ndarray],
    split: Any,
    parts: Any,
    constrain: Any,
) -> None:
    """Compares the functions of u with PyMC's own, at the initial point and around it."""
    theirs_joint, theirs_prior = (
        model.compile_logp(vars=v, mode="FAST_COMPILE") for v in (None, model.free_RVs)
    )
    own = [*model.free_RVs, *model.deterministics]
    theirs_values = model.compile_fn(
        model.replace_rvs_by_values(own),
        inputs=model.value_vars,
        mode="FAST_COMPILE",
        on_unused_input="ignore",
    )
    # The initial point first, then random places around it.
    centre = np.concatenate([b.ravel() for b in initial_values])
    rng, compared = np.random.default_rng(0), 0
    with jax.enable_x64(True):
        every = jax.jit(lambda u: (sum(parts(u)), parts(u)[0], constrain(u)))
        for attempt in range(TRIES):
            u = centre + min(attempt, 1) * rng.uniform(-1, 1, centre.size)
            point = dict(zip(names, map(np.asarray, split(u)), strict=True))
            with np.errstate(all="ignore"):
                joint, prior = float(theirs_joint(point)), float(theirs_prior(point))
            if np.isnan(joint):
                continue
            ours_joint, ours_prior, ours_values = every(jnp.asarray(u))
            _refuse_difference(model, "log p(x, u)", u, float(ours_joint), joint)
            _refuse_difference(model, "log p(u)", u, float(ours_prior), prior)
            for v, theirs in zip(own, theirs_values(point), strict=True):
                _refuse_difference(
                    model,
                    f"the value of {v.name}",
                    u,
                    np.asarray(ours_values[v.name]),
                    np.asarray(theirs),
                )
            compared += np.isfinite(joint)
            if compared == POINTS:
                return
    if not compared:
        terms = {name: v for name, v in model.point_logps().items() if not np.isfinite(v)}
        named = ", ".join(f"{name} ({value})" for name, value in terms.items())
        at_fault = f"; the terms at fault at that point are those of {named}" if named else ""
        raise ValueError(
            f"PyMC's own log-density is finite at none of {TRIES} places around the model's "
            f"initial point{at_fault}: look for data outside the support of their likelihood."
        )


def _refuse_difference(model: Any, what: str, u: np.ndarray, ours: Any, theirs: Any) -> None:
    if np.shape(ours) != np.shape(theirs) or not np.allclose(
        ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
    ):
        where = np.array2string(u, precision=4, threshold=6)
        raise ValueError(
            f"{what} is {_shown(ours)} through JAX and {_shown(theirs)} as PyMC compiles it (at "
            f"u = {where}, {len(model.value_vars)} value "
            f"variables): the two must agree to {TOLERANCE:.0e}. Write the model as "
            "jensen.from_log_joint, and report the operation to PyTensor."
        )


def _shown(value: Any) -> str:
    return np.array2string(np.asarray(value), threshold=6)


def _predictive(pymc: Any, model: Any) -> Any:
    observed = [v.name for v in model.observed_RVs]
    if not observed:
        return None
    free = [v.name for v in model.free_RVs]

    def predictive(key: Any, draws: dict[str, Array]) -> dict[str, np.ndarray]:
        import xarray

        given = {name: np.asarray(draws[name])[None] for name in free}
        dims = {
            name: ("chain", "draw", *(f"{name}_dim_{i}" for i in range(value.ndim - 2)))
            for name, value in given.items()
        }
        posterior = xarray.Dataset({name: (dims[name], value) for name, value in given.items()})
        seed = int(jr.randint(key, (), 0, 2**31 - 1))
        options = {
            "var_names": observed,
            "random_seed": seed,
            "progressbar": False,
            "return_inferencedata": False,
        }
        return {
            name: np.asarray(value)[0]
            for name, value in pymc.sample_posterior_predictive(
                posterior, model=model, **options
            ).items()
        }

    return predictive
