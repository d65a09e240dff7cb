"""`jensen.refit_prior`: a new prior for a trained model, whose encoder and decoder do not change.

With these frozen, the ELBO depends on the prior through mean_n E_q(z|x_n) log p(z) alone, whose
optimum is the aggregated posterior: what is won is marginal KL, nat by nat. It is the ordinary
training of a model whose likelihood is 1, so that no decoder runs; where posteriors are diagonal
normals, data that are used as they are are encoded once in all.
"""

from collections.abc import Callable
from typing import Any, Unpack

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._parameters import constant, partition
from jensen._types import Array, Distribution, Key
from jensen._words import in_python_words
from jensen.bounds.elbo import ELBO
from jensen.checks import check_data
from jensen.datasets import Dataset, load_dataset
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal, diagonal_normal_parameters
from jensen.encoders import AbstractEncoder
from jensen.generation import posterior_codes
from jensen.gradients.pathwise import Pathwise
from jensen.model import Model
from jensen.models import Choice, build_model
from jensen.models.hvae import HierarchicalPrior, top_level
from jensen.priors import AbstractPrior
from jensen.progress import FitProgress
from jensen.recording import stop_on_signals
from jensen.runs import Fit
from jensen.training import Outcome, train
from jensen.training.options import RefittingKeywords, options_from


@in_python_words
def refit_prior(
    model: Model,
    prior: Choice | AbstractPrior,
    data: Dataset | np.ndarray,
    *,
    key: Key,
    progress: bool = True,
    **options: Unpack[RefittingKeywords],
) -> Fit:
    """Trains a new prior alone, by the single-sample ELBO, on the encoder of a trained model.

    Args:
        model: encoder and decoder are taken from it and do not change, bit for bit.
        prior: a member of the priors room as for `jensen.vae`, or a prior of your own; of the top
            level in a model of several.
        data: as for `jensen.fit`. Train values that are drawn afresh at every use (grey levels)
            are, and encoded again in every epoch.
        key: a JAX random key.
        progress: show a progress line on stderr.
        **options: epochs, batch_size, num_samples, learning_rate, patience ...: see
            `TrainingOptions`. There is no warm-up and beta is 1.

    Returns:
        A `Fit`: `fit.model` is the model with the prior that is best by validation data; its recipe
        records that prior (there is none with a prior of your own). The bounds in `fit.history` are
        -KL(q(z|x) || p(z)), without the reconstruction, nats per datum; of the top level in a model
        of several. Nothing is written.

    Raises:
        ValueError: data that do not fit the model, an option that does not exist, or a prior named
            for a model that was put together by hand (give such a model the prior itself).

    Example:
        jensen.refit_prior(fit.model, "vamp", data, epochs=50, key=jax.random.key(3)).model
    """
    settings = options_from(options, caller="refit_prior", keywords=RefittingKeywords, warm_up=0)
    dataset = data if isinstance(data, Dataset) else load_dataset(data)
    check_data(model, dataset)
    key_prior, key_training = jr.split(key)
    fresh = _with_prior(model, prior, dataset, key=key_prior)
    prior_of_top, encoder_of_top = top_level(fresh.prior), top_level(model.encoder)
    if not jax.tree.leaves(partition(prior_of_top).parameters):
        return Fit(
            fresh, fresh, [], Outcome("completed", "the new prior has nothing to train.", 0), 0.0
        )
    encoder, rows, validation = _FrozenEncoder(encoder_of_top), dataset.train, dataset.validation
    if dataset.levels is None and _has_diagonal_normals(encoder_of_top, rows[0]):
        encoder, rows = _GivenPosterior(), _moments(model, rows)
        validation = _moments(model, validation) if len(validation) else rows[:0]
    frozen = Model(_PriorOfFrozenEncoder(prior_of_top, encoder_of_top), encoder, _UnitDecoder())
    with (
        stop_on_signals() as stop_requested,
        FitProgress(settings, shown=progress) as line,
    ):
        trained = train(
            frozen,
            rows,
            validation,
            bound=ELBO(),
            gradient=Pathwise(),
            options=settings,
            key=key_training,
            levels=dataset.levels,
            on_epoch=line.epoch,
            on_compile=line.compiled,
            stop_requested=stop_requested,
        )
    priors: list[Any] = [trained.model.prior, trained.last.prior]
    best, last = (
        Model(_replace_top(model, trained_prior.prior), model.encoder, model.decoder, fresh.recipe)
        for trained_prior in priors
    )
    return Fit(best, last, trained.history, trained.outcome, trained.seconds)


def _with_prior(
    model: Model, prior: Choice | AbstractPrior, dataset: Dataset, *, key: Key
) -> Model:
    if isinstance(prior, AbstractPrior):
        return Model(_replace_top(model, prior), model.encoder, model.decoder)
    if model.recipe is None:
        raise ValueError(
            f"the model was put together by hand, so that no prior {prior!r} can be built for it; "
            "give refit_prior the prior itself."
        )
    fresh = build_model(model.recipe.values | {"prior": prior}, data=dataset, key=key)
    return Model(
        _replace_top(model, top_level(fresh.prior)), model.encoder, model.decoder, fresh.recipe
    )


def _replace_top(model: Model, top: AbstractPrior) -> AbstractPrior:
    """The model's prior with another top level."""
    return (
        HierarchicalPrior(top, model.prior.below)
        if isinstance(model.prior, HierarchicalPrior)
        else top
    )


class _PriorOfFrozenEncoder(AbstractPrior):
    """The new prior as the frozen encoder shows it, whatever encoder it is called with."""

    prior: AbstractPrior
    encoder: AbstractEncoder = constant()

    def __call__(self, encoder: Callable[[Array], Distribution]) -> Distribution:
        del encoder
        return self.prior(self.encoder)


class _FrozenEncoder(AbstractEncoder):
    encoder: AbstractEncoder = constant()

    def __call__(self, x: Array) -> Distribution:
        return self.encoder(x)


class _GivenPosterior(AbstractEncoder):
    """The posterior of a datum given as its mean and scale, [2, D]."""

    def __call__(self, x: Array) -> Distribution:
        return diagonal_normal(x[0], x[1])


class _UnitDecoder(AbstractDecoder):
    """A likelihood of 1."""

    def __call__(self, z: Array) -> Distribution:
        return _UnitLikelihood()


class _UnitLikelihood:
    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Array:
        return jnp.zeros(sample_shape)

    def log_prob(self, value: Any) -> Array:
        return jnp.zeros(())


def _has_diagonal_normals(encoder: AbstractEncoder, x: np.ndarray) -> bool:
    is_diagonal = []

    def record(encoder: AbstractEncoder, x: Array) -> Array:
        is_diagonal.append(diagonal_normal_parameters(encoder(x)) is not None)
        return x

    # Traced, and nothing computed: the kind of posterior is a side effect.
    eqx.filter_eval_shape(record, encoder, jnp.asarray(x))
    return is_diagonal[0]


def _moments(model: Model, rows: np.ndarray) -> np.ndarray:
    """Mean and scale of every row's posterior, [N, 2, D]."""
    codes = posterior_codes(model, rows)
    return np.stack([codes["mean"], codes["scale"]], axis=1)
