"""Checks of a foreign model's answers, before a long computation starts."""

from typing import Any

import numpy as np

from jensen.interop._host import ForeignError, Host
from jensen.model import Model

PROBED = 16  # data
STEP = 0.05  # of a finite difference, in posterior standard deviations
# Relative error of a gradient: more than rounding, or than a kink in one datum of 16.
WRONG_GRADIENT = 0.2
# Differences between two calls, and between batches of different size, that may be rounding,
# relative to 1 + |answer|.
REPEATED, REGROUPED = 1e-4, 1e-3


def host_of(model: Model) -> Host | None:
    """Returns the callables of a foreign model; None for other models.

    host_of(model).event_shape
    """
    for part in (model.decoder, model.encoder, model.prior):
        if isinstance(host := getattr(part, "host", None), Host):
            return host
    return None


def check_foreign(model: Model, data: np.ndarray) -> None:
    """Evaluates a foreign model on data and refuses answers from which no account can be made.

    It encodes all data once, and evaluates everything else for the first 16. Models that jensen
    built pass.

    Raises:
        ValueError: no data or data of another shape; answers of the wrong shape; NaN, or scales
            that are not positive (the datum is named); answers that change from call to call
            (dropout) or with the batch a datum is in (batch normalisation, a loss averaged over the
            batch); whatever a callable raises.

        check_foreign(model, data.test)
    """
    data = np.asarray(data)
    expected = getattr(model.encoder, "foreign_shape", None) or (
        (host := host_of(model)) and host.event_shape
    )
    if expected is None:
        return
    if len(data) == 0:
        raise ValueError("no data: the model cannot be checked or accounted for without any.")
    if data.shape[1:] != tuple(expected):
        raise ValueError(
            f"the model describes data of shape {tuple(expected)}; got rows of shape "
            f"{data.shape[1:]}."
        )
    if data.dtype.kind not in "fiub":
        raise ValueError(f"data must be real numbers; got dtype {data.dtype}.")
    if not np.isfinite(data).all():
        raise ValueError(
            f"datum {int(np.argwhere(~np.isfinite(data))[0][0])} is not finite: a model has no "
            "density for NaN or infinities."
        )
    if (host := host_of(model)) is not None:
        _check_host(host, data)


def _check_host(host: Host, data: np.ndarray) -> None:
    few = data[:PROBED]
    encoded = host.encode(few)
    _check_posterior(host, few, *encoded)  # before all data are encoded
    loc, scale = host.encode(data)
    _check_posterior(host, data, loc, scale)
    noise = np.random.default_rng(0).standard_normal((len(few), host.latent_dim))
    moved = (
        np.einsum("nij,nj->ni", scale[: len(few)], noise)
        if host.full
        else scale[: len(few)] * noise
    )
    z = loc[: len(few)] + moved  # a code from each posterior
    _check_calls("encode", host, encoded, (few,), host.encode)
    densities: list[tuple[str, Any, Any]] = [
        ("log_likelihood", host.log_likelihood, (few, z)),
        ("log_prior", host.log_prior, (z,)),
    ]
    for name, function, arguments in densities:
        if host.has(name):
            first = function(*arguments)
            _check_values(name, host, first[0])
            _check_calls(name, host, first, arguments, function)
    gradients: list[tuple[str, Any, Any]] = [
        ("log_likelihood_gradient", host.likelihood_and_gradient, (few, z)),
        ("log_prior_gradient", host.prior_and_gradient, (z,)),
    ]
    for name, function, arguments in gradients:
        if not host.has(name):
            continue
        slope = function(*arguments)[1]
        if (bad := ~np.isfinite(slope).all(axis=1)).any():
            raise ForeignError(
                f"{host.called(name)} is not finite for datum {int(np.argmax(bad))}, at a code "
                "drawn from its posterior."
            )
        _check_slope(name, host, slope, (moved, *arguments), function)


def _check_posterior(host: Host, data: np.ndarray, loc: np.ndarray, scale: np.ndarray) -> None:
    name = host.called("encode")
    for part, values in (("loc", loc), ("scale", scale)):
        bad = ~np.isfinite(values.reshape(len(data), -1)).all(axis=1)
        if bad.any():
            raise ForeignError(
                f"{name}'s {part} is not finite for datum {int(np.argmax(bad))} "
                f"({int(bad.sum())} of {len(data)} data)."
            )
    widths = np.diagonal(scale, axis1=1, axis2=2) if host.full else scale
    bad = ~(widths > 0).all(axis=1)
    if bad.any():
        n = int(np.argmax(bad))
        what = "diagonal of the Cholesky factor" if host.full else "scale"
        raise ForeignError(
            f"{name}'s {what} must be positive; it is {widths[n].min():.4g} for datum {n} "
            f"({int(bad.sum())} of {len(data)} data). "
            "A scale is a standard deviation: of a network's log variance take exp(0.5 * log_var)."
        )
    if host.full and (above := np.triu(scale, 1).any(axis=(1, 2))).any():
        raise ForeignError(
            f"{name}'s Cholesky factor must be lower triangular; it is not for datum "
            f"{int(np.argmax(above))}. Of a covariance take np.linalg.cholesky."
        )


def _check_values(name: str, host: Host, values: np.ndarray) -> None:
    bad = np.isnan(values) | (values == np.inf)
    if bad.any():
        n = int(np.argmax(bad))
        raise ForeignError(
            f"{host.called(name)} is {values[n]} for datum {n}, at a code drawn from its posterior."
        )


def _check_slope(
    name: str, host: Host, slope: np.ndarray, arguments: tuple[np.ndarray, ...], function: Any
) -> None:
    """Compares the gradient, along the direction from the posterior's mean, with a finite
    difference of its density.
    """
    direction, *before, z = arguments
    up, down = (
        np.asarray(function(*before, z + sign * STEP * direction)[0], np.float64)
        for sign in (1, -1)
    )
    slope_along, finite_difference = np.sum(slope * direction, axis=1), (up - down) / (2 * STEP)
    # Less the rounding error of a difference in float32.
    excess = np.abs(slope_along - finite_difference) - 1e-3 * (1 + np.abs(up))
    if np.median(excess / np.maximum(np.abs(finite_difference), 0.1)) > WRONG_GRADIENT:
        n = int(np.argmax(excess))
        raise ForeignError(
            f"{host.called(name)} is not the gradient of its density in z: along one direction "
            f"{slope_along[n]:.4g}, where a finite difference gives "
            f"{finite_difference[n]:.4g} (datum {n}). Check the sign, and sums in the place of "
            "means."
        )


def _check_calls(
    name: str, host: Host, first: Any, arguments: tuple[np.ndarray, ...], function: Any
) -> None:
    """Repeats a call with the same data, and with half of them, and compares the answers."""
    if (change := _change(first, function(*arguments), REPEATED)) > 0:
        raise ForeignError(
            f"{host.called(name)} gives other answers when it is called again with the same data "
            f"(they differ by {change:.3g}): dropout is on, or there is another "
            "source of randomness. Call eval() on the model first, give functional dropout "
            "training=False, or fix the seed within."
        )
    rows = len(arguments[0])
    half = rows // 2
    if rows < 2:
        return
    fewer = function(*(a[:half] for a in arguments))
    if (change := _change([a[:half] for a in first], fewer, REGROUPED)) > 0:
        raise ForeignError(
            f"{host.called(name)}'s answer for a datum depends on the batch it is in (by "
            f"{change:.3g} for batches of {rows} and of {half}): batch "
            "normalisation in training mode (call eval() on the model first), or an average over "
            "the batch (a loss with reduction='mean'), so that p(x|z) is "
            "no density of one datum."
        )


def _change(first: Any, second: Any, tolerance: float) -> float:
    """The largest difference, or 0 where all are within the tolerance."""
    largest = 0.0
    for a, b in zip(first, second, strict=True):
        same = np.isneginf(a) & np.isneginf(b)  # their difference would be NaN
        difference = np.where(same, 0.0, np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b)))
        if (difference > tolerance * (1 + np.abs(np.where(same, 0.0, a)))).any():
            largest = max(largest, float(difference.max()))
    return largest
