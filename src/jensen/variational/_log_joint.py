"""Targets from plain functions: of constrained parameters, with the Jacobian added, or of an
unconstrained vector.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.distributions import biject_to, constraints

from jensen._rooms import nearest
from jensen._types import Array
from jensen.variational.target import Target


def from_log_joint(
    log_joint: Callable[[Any], Array] | None = None,
    example: Any = None,
    supports: Mapping[str, Any] | None = None,
    *,
    log_prior: Callable[[Any], Array] | None = None,
    log_likelihood: Callable[..., Array] | None = None,
    data: Any = None,
    proper: bool = True,
    predictive: Callable[[Any, dict[str, Array]], dict[str, Array]] | None = None,
) -> Target:
    """Makes a target from a log-density of constrained parameters.

    It adds the log-Jacobian of numpyro's bijectors from unconstrained space.

    Args:
        log_joint: parameters -> log p(x, parameters), nats. The evidence is right only if all
            constants are included.
        example: parameters in the form that log_joint takes: a pytree (most often a dict) of arrays
            or numbers within their supports; only the shapes matter.
        supports: name -> constraint of numpyro.distributions.constraints; real for absent names.
            Names of nested parameters are joined by a dot.
        log_prior, log_likelihood: instead of log_joint, as separate functions.
        data: a pytree of arrays [N, ...]. log_likelihood is then called with (parameters, rows of
            data) and returns one number for each row, which allows minibatches.
        proper: False if the prior is flat or unnormalised: fits then report no evidence.
        predictive: (key, dict of draws [S, ...]) -> dict of predictions.

    Returns:
        A `Target`.

    Raises:
        ValueError: no example, an unknown name among the supports, a discrete support, an example
            outside its support or of a shape it does not fit.

        supports = {"tau": numpyro.distributions.constraints.positive}
        from_log_joint(lambda p: -p["tau"] - p["mu"] ** 2, {"mu": 0.0, "tau": 1.0}, supports)
    """
    if example is None or not jax.tree.leaves(example):
        raise ValueError(
            "from_log_joint needs an example of the parameters, such as {'beta': np.zeros(3), "
            "'sigma': 1.0}: shapes are taken from it."
        )
    parts = _parts(example, supports or {})
    structure = jax.tree.structure(example)

    def split(u: Array) -> tuple[list[Array], Array]:
        values, log_jacobian, at = [], jnp.zeros((), u.dtype), 0
        for part in parts:
            raw = u[at : at + part.size].reshape(part.shape)
            value = part.bijector(raw)
            jacobian = part.bijector.log_abs_det_jacobian(raw, value)
            values.append(value.reshape(part.value_shape))
            log_jacobian, at = log_jacobian + jnp.sum(jacobian), at + part.size
        return values, log_jacobian

    # The Jacobian belongs to the density of u, so it is added to the joint or to the prior.
    def with_jacobian(function: Callable[[Any], Array]) -> Callable[[Array], Array]:
        def density(u: Array) -> Array:
            values, log_jacobian = split(u)
            return _scalar(function(jax.tree.unflatten(structure, values))) + log_jacobian

        return density

    likelihood: dict[str, Any] = {}
    if log_likelihood is not None and data is not None:
        of_rows = lambda u, rows: _per_row(  # noqa: E731
            log_likelihood(jax.tree.unflatten(structure, split(u)[0]), rows), rows
        )
        likelihood = {"log_likelihood_of": of_rows, "data": data}
    elif log_likelihood is not None:
        likelihood = {
            "log_likelihood": lambda u: _scalar(
                log_likelihood(jax.tree.unflatten(structure, split(u)[0]))
            )
        }
    elif data is not None:
        raise ValueError(
            "data= goes with log_prior= and log_likelihood=(parameters, rows) -> [B]: a "
            "log_joint cannot be computed for some of the data."
        )
    return Target(
        constrain=lambda u: dict(zip([p.name for p in parts], split(u)[0], strict=True)),
        size=sum(p.size for p in parts),
        log_density=None if log_joint is None else with_jacobian(log_joint),
        log_prior=None if log_prior is None else with_jacobian(log_prior),
        coordinates=tuple(label for p in parts for label in p.labels()),
        proper=proper,
        predictive=predictive,
        **likelihood,
    )


def from_unconstrained(
    log_density: Callable[[Array], Array],
    constrain: Callable[[Array], dict[str, Array]] | None = None,
    size: int | None = None,
    **options: Any,
) -> Target:
    """Makes a target from a log-density of an unconstrained vector, Jacobian included.

    Args:
        log_density: u [D] -> log p(x, u), nats.
        constrain: u [D] -> dict of name -> array; by default {"u": u}.
        size: D.
        options: further arguments of `Target`.

    Raises:
        ValueError: no size.

        from_unconstrained(lambda u: -0.5 * (u @ u), size=2)
    """
    if size is None:
        raise ValueError(
            "from_unconstrained needs size=, the length of the vector that the log-density takes."
        )
    return Target(
        constrain=constrain or (lambda u: {"u": u}),
        size=size,
        log_density=lambda u: _scalar(log_density(u)),
        **options,
    )


def _scalar(value: Any) -> Array:
    value = jnp.asarray(value)
    if value.size != 1:
        raise ValueError(
            f"a log-density must be one number; got shape {value.shape}. Sum it over the data "
            "and the parameters."
        )
    if jnp.iscomplexobj(value):
        raise ValueError(
            f"a log-density must be a real number; got {value.dtype}. Take the real part, or "
            "look where it became complex."
        )
    return value.reshape(()).astype(jnp.result_type(float))


def _per_row(value: Any, rows: Any) -> Array:
    value, count = jnp.asarray(value), len(jax.tree.leaves(rows)[0])
    if value.shape != (count,):
        raise ValueError(
            f"log_likelihood must return one number for each of the {count} rows of data that it "
            f"is given; got shape {value.shape}."
        )
    return value


class _Part:
    """One array of the parameters: its bijector, and its shapes on both sides of the bijector."""

    def __init__(self, name: str, value: np.ndarray, support: Any):
        if not isinstance(support, constraints.Constraint):
            raise ValueError(
                f"parameter {name!r}: a support is one of numpyro.distributions.constraints, "
                f"such as constraints.positive; got {support!r}."
            )
        if support.is_discrete:
            raise ValueError(
                f"parameter {name!r} is discrete ({support}): families here are continuous, and "
                "no derivative passes. Sum it out of log_joint."
            )
        try:
            self.bijector = biject_to(support)
        except NotImplementedError as error:
            raise ValueError(
                f"parameter {name!r}: numpyro has no bijector to {support}. Write it as a "
                "transform of a real one."
            ) from error
        if support.event_dim > value.ndim:
            raise ValueError(
                f"parameter {name!r}: {support} is over arrays of at least {support.event_dim} "
                f"axes; the example has shape {value.shape}."
            )
        if not bool(np.all(support(jnp.asarray(value)))):
            raise ValueError(
                f"parameter {name!r}: the example {np.array2string(value, threshold=6)} lies "
                f"outside its support, {support}."
            )
        try:
            self.shape = self.bijector.inverse_shape(value.shape)
        except ValueError as error:
            raise ValueError(
                f"parameter {name!r}: a value of shape {value.shape} does not fit its support, "
                f"{support}: {error}"
            ) from error
        self.name, self.value_shape, self.size = (
            name,
            value.shape,
            int(np.prod(self.shape, dtype=int)),
        )

    def labels(self) -> list[str]:
        return [
            f"{self.name}[{','.join(str(int(j)) for j in np.unravel_index(i, self.shape))}]"
            if self.shape
            else self.name
            for i in range(self.size)
        ]


def _parts(example: Any, supports: Mapping[str, Any]) -> list[_Part]:
    leaves = jax.tree_util.tree_leaves_with_path(example)
    names = [jax.tree_util.keystr(path, simple=True, separator=".") or "x" for path, _ in leaves]
    for name in supports:
        if name not in names:
            raise ValueError(
                f"supports names {name!r}, which is no parameter{nearest(name, names)}; the "
                f"example has: {', '.join(names)}."
            )
    return [
        _Part(name, _numbers(name, leaf), supports.get(name, constraints.real))
        for name, (_, leaf) in zip(names, leaves, strict=True)
    ]


def _numbers(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"parameter {name!r}: its example must be a number or an array of numbers; got "
            f"{value!r}."
        ) from error
