"""A prior re-fitted alone on a frozen encoder: learned pseudo-inputs for the ladder.

With encoder and decoder fixed, the ELBO depends on the prior through one term alone, and so does the marginal KL:

    argmax_prior ELBO = argmax_prior (1/N) sum_n E_{q(z|x_n)} log p(z) = argmin_prior KL(q(z) || p(z))

so the data are encoded once, and the decoder is not needed.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Key
from jensen.datasets import Dataset
from jensen.generation import posterior_codes
from jensen.likelihoods import likelihoods, summarise
from jensen.model import Model
from jensen.models import Choice, resolve_choice
from jensen.priors import AbstractPrior, priors
from jensen.training.optimisers import make_optimiser

BATCH = 100
LEARNING_RATE = 3e-2


def refit_prior(model: Model, prior: Choice, data: Dataset, *, epochs: int, key: Key) -> Model:
    """The model with another prior, fitted to the training data's codes; encoder and decoder are those of `model`, bit for bit.

    The prior of the epoch with the best mean log p(z) on the validation data is kept (of the last epoch when there are none).

    Args:
        model: made by `jensen.vae`; its posterior is a diagonal normal.
        prior: a member of the priors room, by name or with options.
        data: its train split is used as it is evaluated (`split("train")`).
        epochs: passes over the training codes; z is drawn afresh in each.
        key: a JAX random key.

    Raises:
        ValueError: an unknown prior or option, a model put together by hand, or a posterior that is not a diagonal normal.

        refit_prior(model, {"name": "vamp", "num_components": 100}, data, epochs=50, key=jax.random.key(0))
    """
    if model.recipe is None:
        raise ValueError("refit_prior wants a model made by jensen.vae: one put together by hand does not say what its prior may be built from.")
    key_prior, key_train, key_validation = jr.split(key, 3)
    start = _build(model, prior, data.split("train"), key_prior)
    codes = posterior_codes(model, data.split("train"))
    loc, scale = jnp.asarray(codes["mean"]), jnp.asarray(codes["scale"])
    held_out = _held_out(model, data.validation, key_validation)
    parameters, static = eqx.partition(start, eqx.is_inexact_array)
    n = len(loc)
    steps, size = -(-n // min(BATCH, n)), min(BATCH, n)
    optimiser = make_optimiser("adam", LEARNING_RATE)

    def mean_log_prior(parameters, z: Array) -> Array:
        return jnp.mean(jax.vmap(eqx.combine(parameters, static)(model.encoder).log_prob)(z))

    @jax.jit
    def epoch(parameters, state, key):
        key_order, key_z = jr.split(key)
        # The last batch is filled up with the first rows of the order: every row is used at least once.
        order = jnp.resize(jr.permutation(key_order, n), (steps, size))

        def step(carry, batch):
            index, key = batch
            z = loc[index] + scale[index] * jr.normal(key, (size, loc.shape[1]))
            gradient = jax.grad(lambda p: -mean_log_prior(p, z))(carry[0])
            updates, state = optimiser.update(gradient, carry[1])
            return (eqx.apply_updates(carry[0], updates), state), None

        (parameters, state), _ = jax.lax.scan(step, (parameters, state), (order, jr.split(key_z, steps)))
        return parameters, state, mean_log_prior(parameters, held_out) if len(held_out) else jnp.zeros(())

    state = optimiser.init(parameters)
    best, best_value = parameters, float(jax.jit(mean_log_prior)(parameters, held_out)) if len(held_out) else -np.inf
    for t in range(epochs):
        parameters, state, value = epoch(parameters, state, jr.fold_in(key_train, t))
        if not np.isfinite(value):
            raise ValueError(f"re-fitting the prior {prior} diverged in epoch {t + 1}: the mean log p(z) is {float(value)}.")
        if value > best_value or not len(held_out):
            best, best_value = parameters, float(value)
    name, options = resolve_choice(priors, prior)
    recipe = type(model.recipe)(model.recipe.values | {"prior": {"name": name, **options}})
    return dataclasses.replace(model, prior=eqx.combine(best, static), recipe=recipe)


def _build(model: Model, prior: Choice, rows: np.ndarray, key: Key) -> AbstractPrior:
    assert model.recipe is not None
    values, (name, options) = model.recipe.values, resolve_choice(priors, prior)
    context = {"event_shape": tuple(values["event_shape"]), "latent_dim": values["latent_dim"], "data": summarise(rows), "key": key}
    head, head_options = resolve_choice(likelihoods, values["likelihood"])
    return priors.build(name, options, context | {"likelihood": likelihoods.build(head, head_options, context)})


def _held_out(model: Model, rows: np.ndarray, key: Key) -> Array:
    if not len(rows):
        return jnp.zeros((0, 1))
    codes = posterior_codes(model, rows)
    return jnp.asarray(codes["mean"] + codes["scale"] * np.asarray(jr.normal(key, codes["mean"].shape)))
