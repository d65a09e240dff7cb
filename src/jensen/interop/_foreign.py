"""`foreign`: a model from NumPy callables."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jensen.interop._density import HostDecoder, HostEncoder
from jensen.interop._host import Host
from jensen.interop._priors import HostPrior, is_log_prior, prior_of
from jensen.model import Model

POSTERIORS = ("diagonal_normal", "full_normal")
DTYPES = ("float32", "float64")


def foreign(
    *,
    event_shape: Sequence[int],
    latent_dim: int,
    encode: Any,
    log_likelihood: Any,
    prior: Any = "standard_normal",
    posterior: str = "diagonal_normal",
    log_likelihood_gradient: Any = None,
    log_prior_gradient: Any = None,
    decode: Any = None,
    sample: Any = None,
    dtype: str = "float32",
    batch_size: int = 2048,
    names: dict[str, str] | None = None,
) -> Model:
    """Makes a `Model` from callables on NumPy arrays, for models that were built elsewhere.

    B is at most `batch_size`, row i of every argument belongs to the same datum, and all
    log-densities are in nats.

    Args:
        event_shape, latent_dim: of one datum, and of one code.
        encode: x [B, *event] -> (loc [B, D], scale [B, D]) of q(z|x); with posterior='full_normal'
            the scale is a Cholesky factor [B, D, D].
        log_likelihood: (x [B, *event], z [B, D]) -> log p(x|z) [B], a density with all constants,
            not a loss.
        prior: 'standard_normal' ({'name': 'standard_normal', 'scale': 2.0} for a wider one), a
            prior of jensen, a distribution over codes (numpyro's), a callable z [B, D] -> log p(z)
            [B], or `PseudoInputs` for the mixture of the encoder's posteriors at these.
        posterior: the family of q(z|x).
        log_likelihood_gradient: (x, z) -> d log p(x|z) / dz [B, D], or the pair (log p(x|z),
            gradient) if both are computed together. Refined posteriors, the split of the Jensen gap
            and annealing need it.
        log_prior_gradient: the same for a prior that is a callable.
        decode: z [B, D] -> E[x|z] [B, *event], for pictures.
        sample: (z [B, D], a NumPy random generator) -> x ~ p(x|z) [B, *event], for simulated data.
            It is called with one code at a time.
        dtype: of the callables' arguments. Data and codes come from JAX, where they are float32
            unless `jax_enable_x64` is set.
        batch_size: the largest number of rows in a call; it limits the memory and does not change
            the result.
        names: names of the callables in messages; by default those of these arguments.

    Returns:
        A `Model` whose encoder and decoder call the callables. The account names the lines that it
        leaves out because a callable is missing.

    Raises:
        ValueError: an argument out of range, or not callable. The answers of the callables are
            checked with data (`check_foreign`, which `jensen.account` and all estimates call).

        functions = {"encode": encode, "log_likelihood": log_likelihood}
        model = jensen.foreign(event_shape=(5,), latent_dim=2, **functions)
        print(jensen.account(model, x, key=jax.random.key(0)))
    """
    shape = tuple(int(n) for n in event_shape)
    if any(n < 1 for n in shape):
        raise ValueError(
            f"event_shape must be the shape of one datum, sizes of at least 1; got {shape}."
        )
    for name, value in [("latent_dim", latent_dim), ("batch_size", batch_size)]:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1; got {value!r}.")
    for name, value, choices in [("posterior", posterior, POSTERIORS), ("dtype", dtype, DTYPES)]:
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}; got {value!r}.")
    callables = {
        "encode": encode,
        "log_likelihood": log_likelihood,
        "log_likelihood_gradient": log_likelihood_gradient,
        "log_prior": prior if is_log_prior(prior) else None,
        "log_prior_gradient": log_prior_gradient,
        "decode": decode,
        "sample": sample,
    }
    for name, value in callables.items():
        if not (callable(value) or (value is None and name not in ("encode", "log_likelihood"))):
            raise ValueError(f"{name} must be callable; got {type(value).__name__}.")
    host = Host(
        callables,
        event_shape=shape,
        latent_dim=int(latent_dim),
        full=posterior == "full_normal",
        dtype=dtype,
        batch_size=int(batch_size),
        names=names,
    )
    prior_module = prior_of(prior, host)
    if log_prior_gradient is not None and not isinstance(prior_module, HostPrior):
        raise ValueError(
            "log_prior_gradient is that of a prior given as a callable log_prior(z); of this one "
            "JAX has the gradient. Leave it out."
        )
    return Model(prior_module, HostEncoder(host), HostDecoder(host))
