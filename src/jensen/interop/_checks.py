"""What a foreign model answers, looked at before anything long is computed."""

from typing import Any

import numpy as np

from jensen.interop._host import ForeignError, Host
from jensen.model import Model

PROBED = 16
STEP, ASTRAY = (
    0.05,
    0.2,
    # of a finite difference, in posterior standard deviations; of a slope, relative to its size: not
    # rounding, nor a kink in one datum of 16
)
REPEATED, REGROUPED = (
    1e-4,
    1e-3,
    # relative to 1 + |answer|: what rounding may change from call to call, and between batches of
    # different size
)


def host_of(model: Model) -> Host | None:
    """The callables behind a foreign model; None of any other.

    host_of(model).event_shape
    """
    for part in (model.decoder, model.encoder, model.prior):
        if isinstance(host := getattr(part, "host", None), Host):
            return host
    return None


def check_foreign(model: Model, data: np.ndarray) -> None:
    """Asks a foreign model about data, and refuses what no account could be made of. A model of
    jensen's own passes.

    All data are encoded once; everything else is asked of the first 16.

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
        raise ValueError("no data: there is nothing to ask the model about.")
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
    z = loc[: len(few)] + moved
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
    """The gradient along the way from the posterior's mean, against a finite difference of the
    density it is of.
    """
    way, *before, z = arguments
    up, down = (
        np.asarray(function(*before, z + sign * STEP * way)[0], np.float64) for sign in (1, -1)
    )
    found, expected = np.sum(slope * way, axis=1), (up - down) / (2 * STEP)
    astray = np.abs(found - expected) - 1e-3 * (
        1 + np.abs(up)
    )  # what float32 keeps of a difference
    if np.median(astray / np.maximum(np.abs(expected), 0.1)) > ASTRAY:
        n = int(np.argmax(astray))
        raise ForeignError(
            f"{host.called(name)} is not the gradient of its density in z: along one direction "
            f"{found[n]:.4g}, where a finite difference gives "
            f"{expected[n]:.4g} (datum {n}). Mind the sign, and sums where means were meant."
        )


def _check_calls(
    name: str, host: Host, first: Any, arguments: tuple[np.ndarray, ...], function: Any
) -> None:
    """The same question again, and again with fewer data beside each."""
    if (change := _change(first, function(*arguments), REPEATED)) > 0:
        raise ForeignError(
            f"{host.called(name)} gives other answers when it is asked again about the same data "
            f"(they differ by {change:.3g}): dropout left on, or another "
            "source of chance. Call eval() on the model first, give functional dropout "
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


def _change(one: Any, other: Any, tolerance: float) -> float:
    """The largest difference, or 0 where all are within the tolerance."""
    largest = 0.0
    for a, b in zip(one, other, strict=True):
        same = np.isneginf(a) & np.isneginf(b)
        difference = np.where(same, 0.0, np.abs(np.where(same, 0.0, a) - np.where(same, 0.0, b)))
        if (difference > tolerance * (1 + np.abs(np.where(same, 0.0, a)))).any():
            largest = max(largest, float(difference.max()))
    return largest
