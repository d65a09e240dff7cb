"""Warnings about probable mistakes in a model built elsewhere, which may be intended.

Logits. A Bernoulli likelihood's log-density is linear in each element of x, with the logit as its
slope. Slopes that all lie within [0, 1] come from a decoder that ends in a Sigmoid. The warning
appears only where they are poor logits: as probabilities they describe the data better, or the
data's mean contradicts them.

Scales. At the optimum of a diagonal normal posterior 1 / s_j^2 = -E_q d^2 log p(x, z) / dz_j^2
(Opper & Archambeau 2009). Over data and dimensions, log s against the logarithms of the scales that
the curvature asks for has slope 1; slope 2 where variances are given as scales, 1/2 where the
square roots of scales are. A posterior that is too wide or too narrow by a factor moves the
intercept alone.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array
from jensen.distributions import diagonal_normal_parameters
from jensen.interop._checks import host_of
from jensen.interop._guard import guarded
from jensen.model import Model

PROBED, FEWEST, ELEMENTS, DIMENSIONS, DRAWS = 16, 4, 32, 16, 4
ROUNDING = 1e-3  # of slopes, which are differences of log-densities in float32
SPREAD = 0.05  # of the slopes; a decoder that has learned nothing gives one number
SURE, VERY_SURE = 3, 5  # standard errors
INFORMED = 0.3  # |log scale|: of dimensions as wide as the prior every power is the same
VARIED, FAR = 0.15, 1.0  # spread of log scales that tells a slope; distance that needs none
READINGS = {
    # power of the declared scale that is the right one: (its slope, tolerance, what it looks like)
    0.5: (
        2.0,
        0.3,
        "look like variances",
        "is a log variance declared as second='log_scale', or exp(log_var) given as a scale? "
        "A scale is exp(0.5 * log_var)",
    ),
    2.0: (
        0.5,
        0.15,
        "look like square roots of scales",
        "is a log scale declared as second='log_var'? A scale is exp(log_scale)",
    ),
}


@guarded
def foreign_remarks(model: Model, data: np.ndarray) -> tuple[str, ...]:
    """Lists probable mistakes in a model that jensen did not build; empty for its own models.

    It evaluates a few data at a few codes each.

    foreign_remarks(model, data.test)  # ('Suspicious logits: ...',)
    """
    if model.recipe is not None or len(data) < FEWEST:
        return ()
    host = host_of(model)
    probed = np.linspace(0, len(data) - 1, min(len(data), PROBED)).astype(int)
    rows = np.asarray(data)[probed]
    # Densities may be -inf at what is tried here, and differences of such no numbers.
    with np.errstate(invalid="ignore", over="ignore"):
        remarks = [_logits_where_answered(model, rows)]
        if host is not None or getattr(model.encoder, "foreign_shape", None):
            remarks.append(_scales(model, rows))
    return tuple(filter(None, remarks))


def _logits_where_answered(model: Model, rows: np.ndarray) -> str:
    """`_logits`, or '' if the model refuses rows with one element changed, such as one-hot rows."""
    host = host_of(model)
    if host is None:
        try:
            return _logits(model, rows)
        except Exception:  # what is wrong with the model itself, the account raises
            return ""
    remark = _logits(model, rows)
    if host.failure is None:
        return remark
    host.failure = None
    return ""


def _logits(model: Model, rows: np.ndarray) -> str:
    values = np.asarray(rows, np.float64).reshape(len(rows), -1)
    if values.min() < 0 or values.max() > 1:
        return ""
    size = values.shape[1]
    elements = np.linspace(0, size - 1, min(size, ELEMENTS)).astype(int)
    codes = _codes(model, jnp.asarray(rows), jr.key(0))

    def densities(value: float) -> np.ndarray:
        """log p(x|z) with one element after the other set to a value, [data, elements]."""
        changed = np.repeat(rows[:, None], len(elements), axis=1)
        flat = changed.reshape(len(rows), len(elements), -1)
        flat[:, np.arange(len(elements)), elements] = value
        return np.asarray(_likelihoods(model, jnp.asarray(changed), codes), np.float64)

    off, on = densities(0.0), densities(1.0)
    slopes, observed = on - off, values[:, elements]
    if not np.isin(values, (0, 1)).all():
        # Grey levels: a normal likelihood is quadratic in x, and its slope is no logit.
        bent = densities(0.5) - 0.5 * (off + on)
        if np.abs(bent).max() > ROUNDING:
            return ""
    low, high = float(slopes.min()), float(slopes.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING and high - low > SPREAD):
        return ""
    probabilities = np.clip(slopes, ROUNDING, 1 - ROUNDING)
    read_as_probabilities = observed * np.log(probabilities) + (1 - observed) * np.log1p(
        -probabilities
    )
    read_as_logits = observed * slopes - np.logaddexp(0, slopes)
    better = (read_as_probabilities - read_as_logits).sum(axis=1)
    residuals = (observed - 1 / (1 + np.exp(-slopes))).sum(axis=1)
    if not (_errors(better) > SURE or abs(_errors(residuals)) > VERY_SURE):
        return ""
    return (
        f"Suspicious logits: all that were looked at lie within [0, 1] ({low:.2f} to {high:.2f}), "
        "as if the decoder ended in a Sigmoid: a probability is taken for a logit, and p(x|z) is "
        "between 0.50 and 0.73 everywhere. Remove the Sigmoid, or give log_likelihood= of the "
        "probabilities."
    )


def _scales(model: Model, rows: np.ndarray) -> str:
    x = jnp.asarray(rows)
    parameters = _normals(model, x)
    if parameters is None:
        return ""
    loc, scale = (np.asarray(a, np.float64) for a in parameters)
    # The dimensions that differ most from the prior's width: of the others no power is another.
    widths = np.abs(np.log(scale)).mean(axis=0)
    dimensions = np.sort(np.argsort(-widths, kind="stable")[:DIMENSIONS])
    noise = np.random.default_rng(0).standard_normal((len(rows), DRAWS, loc.shape[1]))
    # Between the declared scale and its root: wide enough for float32, not beyond the posterior.
    steps = scale[:, dimensions] ** 0.75
    at = loc[:, None] + scale[:, None] * noise
    asked = np.eye(loc.shape[1])[dimensions] * steps[:, :, None]
    middle = _joint(model, x, at)
    up, down = (_joint(model, x, at[:, :, None] + sign * asked[:, None]) for sign in (1.0, -1.0))
    curvature = -(up - 2 * middle[..., None] + down) / np.square(steps)[:, None]
    curvature = curvature.mean(axis=1)  # over draws, [data, dimensions]
    usable = curvature > 0
    fitted = -0.5 * np.log(np.where(usable, curvature, 1.0))
    usable &= np.abs(fitted) > INFORMED
    if usable.sum() < FEWEST:
        return ""
    declared, fitted = np.log(scale[:, dimensions])[usable], fitted[usable]
    distance = np.abs(declared - fitted).mean()
    for power, (slope, tolerance, look, question) in READINGS.items():
        if np.abs(declared - slope * fitted).mean() > 0.25 * distance:
            continue
        # Where all widths are one, a slope cannot be told; a distance can.
        varied = fitted.std() > VARIED
        fits = (
            abs(np.polyfit(fitted, declared, 1)[0] - slope) < tolerance
            if varied
            else distance > FAR
        )
        if not fits:
            continue
        moved = scale**power
        gain = _joint(model, x, loc[:, None] + moved[:, None] * noise).mean(axis=1) - middle.mean(
            axis=1
        )
        gain += (np.log(moved) - np.log(scale)).sum(axis=1)
        if _errors(gain) > SURE:
            error = gain.std(ddof=1) / np.sqrt(len(gain))
            return (
                f"Suspicious scales: those of q(z|x) {look}. To the power {power:g} they fit the "
                f"curvature of log p(x, z), and the ELBO of {len(gain)} data is {gain.mean():.2f} "
                f"+- {error:.2f} nats higher: {question}."
            )
    return ""


def _errors(values: np.ndarray) -> float:
    """The mean of values over data, in standard errors of it."""
    error = values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() / max(error, 1e-12))


@eqx.filter_jit
def _codes(model: Model, x: Array, key: Array) -> Any:
    """One draw of q(z|x) for each datum."""
    return jax.vmap(lambda x, key: model.encoder(x).sample(key))(x, jr.split(key, len(x)))


@eqx.filter_jit
def _normals(model: Model, x: Array) -> tuple[Array, Array] | None:
    """(loc, scale), each [data, D], of diagonal normal posteriors; None of others."""
    return jax.vmap(lambda x: diagonal_normal_parameters(model.encoder(x)))(x)


@eqx.filter_jit
def _likelihoods(model: Model, x: Array, codes: Any) -> Array:
    """log p(x|z) of rows [data, k, *event], all k under the code of their datum, [data, k]."""
    of_one = jax.vmap(lambda x, z: model.decoder(z).log_prob(x), (0, None))
    return jax.vmap(of_one)(x, codes)


def _joint(model: Model, x: Array, z: np.ndarray) -> np.ndarray:
    """log p(x, z) of codes [data, ..., D], float64 [data, ...]."""
    rows = z.reshape(len(z), -1, z.shape[-1])
    return np.asarray(_joint_of_rows(model, x, jnp.asarray(rows)), np.float64).reshape(z.shape[:-1])


@eqx.filter_jit
def _joint_of_rows(model: Model, x: Array, z: Array) -> Array:
    prior = model.prior(model.encoder)
    of_one = jax.vmap(lambda x, z: model.decoder(z).log_prob(x) + prior.log_prob(z), (None, 0))
    return jax.vmap(of_one)(x, z)
