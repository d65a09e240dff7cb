"""Reads and checks the sites of a NumPyro model before a fit.

The model is traced once with made-up values, since sites with improper priors cannot be drawn.
Nothing is computed in that trace. What depends on numbers that exist only within it, such as data
made by the model itself, is computed by a second, compiled run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from numpyro import handlers
from numpyro.distributions import biject_to, constraints
from numpyro.infer import init_to_uniform
from numpyro.primitives import Messenger

from jensen._types import Array

MISSING = "Leave missing values out, or mask them (numpyro.handlers.mask)."
NOT_ZERO = "Leave zeros and missing values out, or model them by a site of their own."
# What to do about data outside a support, by the support's class in numpyro.
REMEDIES = {
    "_Boolean": "Code the two classes 0 and 1.",
    "_IntegerInterval": "Count classes from 0 (labels - 1), and leave missing ones out.",
    "_IntegerNonnegative": MISSING,
    "_Nonnegative": MISSING,
    "_Positive": NOT_ZERO,
    "_IntegerPositive": NOT_ZERO,
    "_Simplex": "Divide each row by its sum.",
}
REMEDY = "Leave such data out, rescale them, or take another distribution."


@dataclass(frozen=True)
class Sites:
    """The sites of a model, from its trace.

    Attributes:
        shapes: of the latent sites, unconstrained, as numpyro's bijectors take them.
        entries: of a latent site that `obs_mask` made, which of its unconstrained entries are
            parameters: a boolean array of its shape. All are, of sites that are absent here.
        imputed: of such a site, the name of the whole array that holds its values too.
        observed: names of the observed sites and factors.
        derived: names of the deterministic sites, `Delta` among them.
        constrained: names of latent and derived sites in the model's order, without those in
            `imputed`.
        unnormalised: a sentence for each site whose term in the log-density is not the log of a
            normalised density.
    """

    shapes: dict[str, tuple[int, ...]]
    entries: dict[str, np.ndarray]
    imputed: dict[str, str]
    observed: tuple[str, ...]
    derived: tuple[str, ...]
    constrained: tuple[str, ...]
    unnormalised: tuple[str, ...]


class PlainData(Messenger):
    """Converts data of observed sites to NumPy arrays of numbers, then by `convert`."""

    def __init__(self, fn: Any, convert: Callable[[Any], Any] = lambda array: array):
        super().__init__(fn)
        self._convert = convert

    def process_message(self, msg: dict[str, Any]) -> None:
        if msg["type"] == "sample" and msg["is_observed"] and not is_factor(msg):
            msg["value"] = self._convert(plain_array(f"the data of site {msg['name']!r}", msg))


def plain_array(what: str, message: Mapping[str, Any]) -> Any:
    """Converts a message's value to an array of numbers; JAX arrays stay as they are."""
    value = message["value"]
    return value if isinstance(value, jax.Array) else numbers(what, value)


def numbers(what: str, value: Any) -> np.ndarray:
    """Converts a list, a pandas Series, an array of objects and so on to an array of numbers.

    Raises:
        ValueError: an entry that is not a number, by its position.

        numbers("the data of site 'y'", [1, 2.5])  # array([1. , 2.5])
    """
    array = np.asarray(value.to_numpy() if hasattr(value, "to_numpy") else value)
    if array.dtype.kind in "fiub":
        return array
    if array.dtype.kind == "O":
        for index in np.ndindex(array.shape):
            entry = array[index]
            if not isinstance(entry, (bool, int, float, np.number, np.bool_)):
                raise ValueError(
                    f"{what} must be numbers; the entry{_at(index)} is {entry!r} "
                    f"({type(entry).__name__}). Leave missing ones out, and code categories "
                    "0, 1, ... (pandas: .cat.codes)."
                )
        return array.astype(np.float64 if _any_float(array) else np.int64)
    raise ValueError(
        f"{what} must be numbers; got an array of {array.dtype}. Code categories 0, 1, ... "
        "(pandas: .cat.codes), and times as numbers in a unit of your choice."
    )


def read_sites(model: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Sites:
    """Reads the sites of a model called with these arguments.

    Raises:
        ValueError: what `from_numpyro` refuses.

        read_sites(model, (x,), {"y": y}).shapes
    """
    # Values from numpyro's initialisation, since sites with improper priors have no sampler.
    started = PlainData(
        handlers.substitute(handlers.seed(model, jax.random.key(0)), substitute_fn=init_to_uniform)
    )
    traces: list[dict[str, Any]] = []
    traced: dict[str, dict[str, Any]] = {"data": {}, "masks": {}}
    # Computed while the model is traced: a support may depend on the value of another site, which
    # exists within the trace alone.
    shapes: dict[str, tuple[int, ...]] = {}

    def abstract() -> dict[str, dict[str, Any]]:
        trace = handlers.trace(started).get_trace(*args, **kwargs)
        _refuse_sites(trace)
        for name, site in _sampled(trace).items():
            if site["is_observed"] and not is_factor(site):
                _refuse_broadcast(name, site)
                traced["data"][name] = site["value"]
            if not site["is_observed"] and not is_delta(site):
                shapes[name] = _unconstrained_shape(name, site)
            mask = _mask_of(site["fn"])
            if mask is not None:
                traced["masks"][name] = mask
        traces.append(trace)
        return jax.tree.map(lambda leaf: leaf if isinstance(leaf, Tracer) else None, traced)

    not_concrete = jax.tree.leaves(jax.eval_shape(abstract))
    trace, read = traces[0], {kind: dict(part) for kind, part in traced.items()}
    if not_concrete:
        computed = jax.jit(abstract)()
        for kind, part in computed.items():
            read[kind] |= {name: value for name, value in part.items() if value is not None}
    data = {name: np.asarray(value) for name, value in read["data"].items()}
    masks = {name: np.asarray(value) for name, value in read["masks"].items()}
    for name, value in data.items():
        _refuse_data(name, value, trace[name], masks.get(name))
    return _sites(trace, masks, shapes)


def _sites(
    trace: dict[str, Any], masks: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]
) -> Sites:
    sampled = _sampled(trace)
    latent = {n: s for n, s in sampled.items() if not s["is_observed"] and not is_delta(s)}
    imputed = {name: of for name in latent if (of := _imputed_in(name, trace)) is not None}
    entries = {name: _entries(masks[name], shapes[name], latent[name]) for name in imputed}
    shapes = {n: s for n, s in shapes.items() if n not in entries or entries[n].any()}
    if not shapes:
        raise ValueError(
            "the model has no latent site: all sites are observed, and there is nothing to infer."
        )
    derived = [n for n, s in trace.items() if s["type"] == "deterministic"]
    derived += [n for n, s in sampled.items() if is_delta(s)]
    return Sites(
        shapes=shapes,
        entries={name: entries[name] for name in entries if name in shapes},
        imputed={name: imputed[name] for name in imputed if name in shapes},
        observed=tuple(name for name, site in sampled.items() if site["is_observed"]),
        derived=tuple(derived),
        constrained=tuple(n for n in trace if (n in latent or n in derived) and n not in imputed),
        unnormalised=tuple(
            why
            for name, site in sampled.items()
            if (why := _unnormalised(name, site, masks.get(name), name in imputed))
        ),
    )


def is_factor(site: dict[str, Any]) -> bool:
    """Whether a site is made by `numpyro.factor`."""
    return type(base_of(site["fn"])).__name__ == "Unit"


def is_delta(site: dict[str, Any]) -> bool:
    """Whether a site is a `Delta` that is not observed: a value with a name, no parameter."""
    return not site["is_observed"] and type(base_of(site["fn"])).__name__ == "Delta"


def base_of(fn: Any) -> Any:
    """The distribution within masks, expansions and transformations."""
    while hasattr(fn, "base_dist"):
        fn = fn.base_dist
    return fn


def _sampled(trace: dict[str, Any]) -> dict[str, Any]:
    return {name: site for name, site in trace.items() if site["type"] == "sample"}


def _imputed_in(name: str, trace: dict[str, Any]) -> str | None:
    """Of the latent site of `sample(x, obs=, obs_mask=)`, the name of the whole array: x."""
    whole = name.removesuffix("_unobserved")
    pair = trace.get(f"{whole}_observed", {})
    made = name != whole and pair.get("is_observed") and whole in trace
    return whole if made and trace[whole]["type"] == "deterministic" else None


def _mask_of(fn: Any) -> Any:
    """The mask around a distribution; None where there is none, or all of it counts."""
    while hasattr(fn, "base_dist"):
        mask = getattr(fn, "_mask", None)
        if type(fn).__name__ == "MaskedDistribution" and mask is not True:
            return mask
        fn = fn.base_dist
    return None


def _entries(mask: np.ndarray, shape: tuple[int, ...], site: dict[str, Any]) -> np.ndarray:
    """Which unconstrained entries [shape] belong to the events that the mask counts."""
    batch = tuple(site["fn"].batch_shape)
    counted = np.broadcast_to(mask, batch)
    return np.broadcast_to(counted.reshape(batch + (1,) * (len(shape) - len(batch))), shape)


def _unconstrained_shape(name: str, site: dict[str, Any]) -> tuple[int, ...]:
    try:
        return tuple(biject_to(site["fn"].support).inverse_shape(np.shape(site["value"])))
    except NotImplementedError as error:
        raise ValueError(
            f"site {name!r}: numpyro has no bijector to {site['fn'].support}. Write it as a "
            "transform of a real site."
        ) from error


def _unnormalised(
    name: str, site: dict[str, Any], mask: np.ndarray | None, made_by_obs_mask: bool
) -> str:
    """Why the term of a site is not the log of a normalised density; '' where it is."""
    if is_factor(site):
        return f"numpyro.factor {name!r} adds any number, which need not be a log-density of data"
    if type(base_of(site["fn"])).__name__ == "ImproperUniform":
        return f"the prior of {name!r} is improper (ImproperUniform)"
    # Observed data that a mask leaves out are missing data: the rest has its own density.
    masked = mask is not None and not mask.all()
    if masked and not site["is_observed"] and not made_by_obs_mask:
        return f"the prior of {name!r} is masked, which leaves it flat"
    scale = site["scale"]
    if scale is not None and (isinstance(scale, Tracer) or not np.all(np.asarray(scale) == 1)):
        of = "likelihood" if site["is_observed"] else "prior"
        by = "" if isinstance(scale, Tracer) else f" by {np.asarray(scale).ravel()[0]:g}"
        return f"the log-{of} of {name!r} is scaled{by} (handlers.scale)"
    if is_delta(site) and not _is_zero(base_of(site["fn"]).log_density):
        return f"the Delta {name!r} has a log_density of its own"
    return ""


def _is_zero(value: Any) -> bool:
    return not isinstance(value, Tracer) and not np.any(np.asarray(value))


def _refuse_sites(trace: dict[str, Any]) -> None:
    if params := [name for name, s in trace.items() if s["type"] == "param"]:
        raise ValueError(
            f"the model has parameters without a prior ({', '.join(params)}, numpyro.param): "
            "sample them from one, or fix them."
        )
    for name, site in trace.items():
        if site["type"] == "plate" and site["args"][1] not in (None, site["args"][0]):
            raise ValueError(
                f"plate {name!r} draws minibatches of {site['args'][1]} of {site['args'][0]}: the "
                "density would be a random one. Give the whole plate, or jensen.from_log_joint("
                "log_prior=, log_likelihood=, data=), which makes minibatches by itself."
            )
    for name, site in _sampled(trace).items():
        support = site["fn"].support
        if site["is_observed"] or support is None or not support.is_discrete:
            continue
        kind = type(base_of(site["fn"])).__name__
        if (whole := _imputed_in(name, trace)) is not None:
            raise ValueError(
                f"site {whole!r}: obs_mask imputes its missing values, which are discrete "
                f"({kind}): families here are continuous. Leave them out of the density "
                f"instead: with numpyro.handlers.mask(mask=...): numpyro.sample({whole!r}, ..., "
                "obs=...), without obs_mask."
            )
        raise ValueError(
            f"site {name!r} is discrete ({kind}): families here are continuous. Sum it out, as a "
            "mixture does."
        )


def _refuse_broadcast(name: str, site: dict[str, Any]) -> None:
    """Refuses data that broadcasting would count repeatedly, such as (N, 1) data for N means."""
    shape, fn = np.shape(site["value"]), site["fn"]
    event_dim, whole = len(fn.event_shape), (*fn.batch_shape, *fn.event_shape)
    # One number without axes may stand for many equal data: sample(..., obs=0.0) in a plate.
    if not shape:
        return
    events = shape[len(shape) - event_dim :] if event_dim else ()
    try:
        terms = np.broadcast_shapes(shape[: len(shape) - event_dim], tuple(fn.batch_shape))
    except ValueError:
        terms = None
    if terms is None or len(shape) < event_dim or len(events) != event_dim:
        raise ValueError(
            f"site {name!r}: data of shape {shape} do not fit its distribution, of shape {whole}."
        )
    size = int(np.prod(terms, dtype=int))
    if size > int(np.prod(shape[: len(shape) - event_dim], dtype=int)) or events != tuple(
        fn.event_shape
    ):
        raise ValueError(
            f"site {name!r}: its data have shape {shape} and its distribution shape {whole}, which "
            f"together make {(*terms, *fn.event_shape)}: data would count more than once. Give "
            "both the same shape (y[:, 0] for a column, or a plate of the right dim); if each "
            f"datum is to count so often, say it: "
            f"obs=jnp.broadcast_to(y, {(*terms, *fn.event_shape)})."
        )


def _refuse_data(
    name: str, value: np.ndarray, site: dict[str, Any], mask: np.ndarray | None
) -> None:
    """Refuses data that are not finite or outside the site's support, unless masked."""
    batch_dim = value.ndim - len(site["fn"].event_shape)
    counted = np.ones(value.shape[:batch_dim], bool)
    if mask is not None:
        with np.errstate(all="ignore"):
            try:
                counted = np.broadcast_to(mask, counted.shape)
            except ValueError:  # a mask of one entry for many data without axes
                return
    axes = counted.reshape(counted.shape + (1,) * (value.ndim - batch_dim))
    if value.dtype.kind == "f":
        faults = np.argwhere(~np.isfinite(value) & axes)
        if len(faults):
            raise ValueError(
                f"the data of site {name!r} are not finite{_at(faults[0])}: take such rows out, "
                "mask them (numpyro.handlers.mask), or model what is missing."
            )
    inside = _inside(site["fn"].support, value)
    if inside is None or inside.shape != counted.shape:
        return
    faults = np.argwhere(~inside & counted)
    if len(faults):
        support = _innermost(site["fn"].support)
        kind = type(base_of(site["fn"])).__name__
        remedy = REMEDIES.get(type(support).__name__, REMEDY)
        if "inomial" in kind:
            remedy = f"Counts lie between 0 and total_count. {MISSING}"
        raise ValueError(
            f"site {name!r}: {len(faults)} of {counted.size} data lie outside the support of "
            f"{kind}, {_text(support)}; the first"
            f"{_at(faults[0])} is {_shown(value[tuple(faults[0])])}. {remedy}"
        )


def _inside(support: Any, value: np.ndarray) -> np.ndarray | None:
    """Which data lie within a support; None where that depends on parameters."""
    if _moves(support):
        return None
    try:
        return np.asarray(support(value))
    except (TypeError, ValueError, NotImplementedError):  # a support that cannot tell
        return None


def outside_support(site: dict[str, Any], *, traced: bool) -> Array:
    """Computes what the log-density of an observed site lacks: -inf for data outside its support.

    A support that depends on parameters moves with them, and a distribution's `log_prob` need not
    look at it: that of numpyro 0.21 does not for Uniform, and its density is then of nothing.

    Args:
        site: an observed site of a trace.
        traced: whether the parameters are traced. A support without traced bounds is then fixed,
            and its data have been checked.

    Returns:
        0 or -inf, of the site's batch shape, or [] where there is nothing to look at.
    """
    support = site["fn"].support
    if support is None or (traced and not _moves(support)):
        return jnp.zeros(())
    try:
        inside = jnp.asarray(support(site["value"]))
    except (TypeError, ValueError, NotImplementedError):  # a support that cannot tell
        return jnp.zeros(())
    mask = _mask_of(site["fn"])
    return jnp.where(inside if mask is None else inside | ~jnp.asarray(mask), 0.0, -jnp.inf)


def _moves(support: Any) -> bool:
    """Whether a support's bounds are being traced, as those that depend on parameters are."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(support))


def _innermost(support: Any) -> Any:
    while isinstance(support, constraints.independent):
        support = support.base_constraint
    return support


def _text(support: Any) -> str:
    bounds = {
        name: np.asarray(getattr(support, name))
        for name in ("lower_bound", "upper_bound")
        if hasattr(support, name)
    }
    limits = [
        f"{name.replace('_bound', '')} bound {_shown(value.ravel()[0])}"
        for name, value in bounds.items()
        if value.size and (value == value.ravel()[0]).all()
    ]
    kind = type(support).__name__.strip("_")
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()
    return words + (f" ({', '.join(limits)})" if limits else "")


def _shown(value: Any) -> str:
    return np.array2string(np.asarray(value), threshold=6)


def _at(index: Any) -> str:
    index = [int(i) for i in index]
    return f" at {index}" if index else ""


def _any_float(array: np.ndarray) -> bool:
    return any(isinstance(entry, (float, np.floating)) for entry in array.ravel())
