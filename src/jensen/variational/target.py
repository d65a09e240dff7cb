"""The target of a variational fit: a log-density on R^D, and the map from R^D to the model's own
constrained parameters.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jensen._parameters import constant
from jensen._types import Array, Float
from jensen.variational._array_conversions import keep_precisions_apart

Density = Callable[[Array], Array]
Likelihood = Callable[[Array, Any], Array]


class TargetEvaluation(NamedTuple):
    """The values of a target at one u: the constrained parameters, log p(u) and log p(x|u), nats.

    Where prior and likelihood are not separate, log p(u) is 0 and the other is log p(x, u).
    """

    constrained: dict[str, Array]
    log_prior: Array
    log_likelihood: Array


# name of a site -> its log-density for each event, its value, and whether it is observed
SiteTerms = dict[str, tuple[Array, Array, bool]]


class Target(eqx.Module):
    """A log-density of an unconstrained vector u [D], in nats, with the log-Jacobian, and the map
    from u to the constrained parameters.

    Args:
        constrain: u [D] -> dict of name -> array.
        size: D.
        log_density: log p(x, u), if prior and likelihood are not separate.
        log_prior, log_likelihood: log p(u) and log p(x|u), if they are; they sum to log_density,
            and fits then report 'reconstruction - KL' too. The Jacobian belongs to the prior, which
            is a density of u.
        log_likelihood_of: (u, rows of `data`) -> [B], the log-likelihood of each row, instead of
            log_likelihood; it allows minibatches.
        evaluate: u -> `TargetEvaluation`, if one run of the model gives the constrained parameters,
            log prior and log likelihood together; it must agree with the functions above.
        data: a pytree of arrays with one leading axis [N].
        coordinates: a label for each entry of u; by default `u[0]`, `u[1]` ...
        proper: False if a term is not the log of a normalised density, such as a prior that does
            not integrate to one: the evidence is then undefined and is not reported.
        improper_because: the reason, in words, which names the term.
        derived: names of constrained values that are functions of the parameters. Fits store large
            ones on request only.
        site_terms: u -> the terms of the log-density by site, which explain a log-density of -inf.
        predictive: (key, dict of draws [S, ...]) -> dict of predictions, if there are any.
        everything: the earlier name of `evaluate`, deprecated.

    Raises:
        ValueError: missing or redundant functions, a size below 1, or data that are not finite or
            not equally long.

        target = Target(constrain=lambda u: {"x": u}, size=2, log_density=lambda u: -0.5 * (u @ u))
        target.names  # ('x[0]', 'x[1]')
    """

    constrain: Callable[[Array], dict[str, Array]] = eqx.field(static=True)
    size: int = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)
    coordinates: tuple[str, ...] = eqx.field(static=True)
    proper: bool = eqx.field(static=True)
    improper_because: str = eqx.field(static=True)
    derived: tuple[str, ...] = eqx.field(static=True)
    site_terms: Callable[[Array], SiteTerms] | None = eqx.field(static=True)
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    predictive: Callable[[Any, dict[str, Array]], dict[str, Array]] | None = eqx.field(static=True)
    _density: Density | None = eqx.field(static=True)
    _prior: Density | None = eqx.field(static=True)
    _likelihood: Density | None = eqx.field(static=True)
    _likelihood_of: Likelihood | None = eqx.field(static=True)
    _evaluate: Callable[[Array], TargetEvaluation] | None = eqx.field(static=True)
    data: Any = constant()

    def __init__(
        self,
        *,
        constrain: Callable[[Array], dict[str, Array]],
        size: int,
        log_density: Density | None = None,
        log_prior: Density | None = None,
        log_likelihood: Density | None = None,
        log_likelihood_of: Likelihood | None = None,
        evaluate: Callable[[Array], TargetEvaluation] | None = None,
        data: Any = None,
        coordinates: tuple[str, ...] | None = None,
        proper: bool = True,
        improper_because: str = "the prior is improper",
        derived: tuple[str, ...] = (),
        site_terms: Callable[[Array], SiteTerms] | None = None,
        predictive: Callable[[Any, dict[str, Array]], dict[str, Array]] | None = None,
        everything: Callable[[Array], TargetEvaluation] | None = None,
    ):
        if everything is not None:
            _warn_renamed("Target(everything=)", "Target(evaluate=)")
            evaluate = everything
        if size < 1:
            raise ValueError(f"a target needs at least one parameter; got size {size}.")
        likelihoods = [f for f in (log_likelihood, log_likelihood_of) if f is not None]
        if (log_density is None) == (log_prior is None) and not (
            log_density is not None and log_prior is not None and log_likelihood is not None
        ):
            raise ValueError(
                "a target is given by log_density, or by log_prior with log_likelihood (or with "
                "log_likelihood_of and data)."
            )
        if len(likelihoods) != (log_prior is not None) or (log_likelihood_of is None) != (
            data is None
        ):
            raise ValueError(
                "log_prior goes with one of log_likelihood and log_likelihood_of, and "
                "log_likelihood_of with data."
            )
        if coordinates is not None and len(coordinates) != size:
            raise ValueError(
                f"coordinates must hold one label for each of the {size} entries of u; got "
                f"{len(coordinates)}."
            )
        check_data(data)
        keep_precisions_apart()
        self.constrain, self.size, self.proper, self.predictive = (
            constrain,
            size,
            proper,
            predictive,
        )
        self.improper_because, self.derived = "" if proper else improper_because, derived
        self.site_terms = site_terms
        with jax.enable_x64(True):
            values = jax.eval_shape(
                constrain, jax.ShapeDtypeStruct((size,), jnp.result_type(float))
            )
        self.names = labels(values)
        self.shapes = tuple((name, tuple(value.shape)) for name, value in values.items())
        self.coordinates = coordinates or tuple(f"u[{i}]" for i in range(size))
        self._density, self._prior, self._likelihood, self._likelihood_of = (
            log_density,
            log_prior,
            log_likelihood,
            log_likelihood_of,
        )
        self._evaluate = evaluate
        self.data = None if data is None else jax.tree.map(np.asarray, data)

    def log_density(self, u: Float[Array, " dim"]) -> Float[Array, ""]:
        """Computes log p(x, u), nats, of all data."""
        return (
            self._density(u)
            if self._density is not None
            else self.log_prior(u) + self.log_likelihood(u)
        )

    def log_prior(self, u: Float[Array, " dim"]) -> Float[Array, ""]:
        """Computes log p(u), nats; only if prior and likelihood are separate (`separate`)."""
        assert self._prior is not None
        return self._prior(u)

    def log_likelihood(
        self, u: Float[Array, " dim"], rows: Array | None = None
    ) -> Float[Array, ""]:
        """Computes log p(x|u), nats, of all data.

        With `rows` [B] it is N/B times the sum over these rows, an unbiased estimate of the sum
        over all N rows.
        """
        if self._likelihood is not None:
            return self._likelihood(u)
        assert self._likelihood_of is not None
        if rows is None:
            return jnp.sum(self._likelihood_of(u, jax.tree.map(jnp.asarray, self.data)))
        per_row = self._likelihood_of(u, jax.tree.map(lambda a: jnp.asarray(a)[rows], self.data))
        return self.num_data / rows.shape[0] * jnp.sum(per_row)

    def everything(self, u: Float[Array, " dim"]) -> TargetEvaluation:
        """The earlier name of `evaluate`, deprecated."""
        _warn_renamed("Target.everything", "Target.evaluate")
        return self.evaluate(u)

    def evaluate(self, u: Float[Array, " dim"]) -> TargetEvaluation:
        """Computes the constrained parameters, log p(u) and log p(x|u), nats, of all data."""
        if self._evaluate is not None:
            return self._evaluate(u)
        if not self.separate:
            return TargetEvaluation(self.constrain(u), jnp.zeros((), u.dtype), self.log_density(u))
        return TargetEvaluation(self.constrain(u), self.log_prior(u), self.log_likelihood(u))

    @property
    def separate(self) -> bool:
        """Whether prior and likelihood are separate functions."""
        return self._prior is not None

    @property
    def num_data(self) -> int:
        """N if the likelihood can be computed for some rows of the data, otherwise 0."""
        return 0 if self.data is None else len(jax.tree.leaves(self.data)[0])


def _warn_renamed(old: str, new: str) -> None:
    warnings.warn(f"{old} is now {new}.", DeprecationWarning, stacklevel=3)


def __getattr__(name: str) -> Any:
    if name == "Everything":
        _warn_renamed("jensen.variational.target.Everything", "TargetEvaluation")
        return TargetEvaluation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def labels(shapes: dict[str, Any]) -> tuple[str, ...]:
    """Makes a label for every number of a dict of arrays: `tau`, `beta[0]`, `W[0,1]`.

    labels({"tau": np.zeros(()), "beta": np.zeros(2)})  # ('tau', 'beta[0]', 'beta[1]')
    """
    out = []
    for name, value in shapes.items():
        for i in range(math.prod(value.shape)):
            index = (
                ",".join(str(int(j)) for j in np.unravel_index(i, value.shape))
                if value.shape
                else ""
            )
            out.append(f"{name}[{index}]" if index else name)
    return tuple(out)


def check_data(data: Any) -> None:
    """Checks that data are finite, not empty and equally long.

    Raises:
        ValueError: names the array, and the row that is not finite.
    """
    lengths = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(data):
        name, array = jax.tree_util.keystr(path) or "data", np.asarray(leaf)
        if array.ndim == 0 or len(array) == 0:
            raise ValueError(f"{name} must hold at least one row of data; got shape {array.shape}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            raise ValueError(
                f"{name} is not finite in row {row}: remove such rows, or model the missing values."
            )
        lengths[name] = len(array)
    if len(set(lengths.values())) > 1:
        raise ValueError(
            f"arrays of data must be equally long, row n of each being datum n; got {lengths}."
        )
