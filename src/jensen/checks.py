"""What is refused before a training begins: data that do not fit the model, a model that nothing
could account for."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from jensen.datasets import Dataset
from jensen.distributions import is_discrete, root_of, stack, top_of
from jensen.likelihoods import check_support
from jensen.model import Model


def check_data(model: Model, dataset: Dataset) -> None:
    """Raises ValueError when the data do not fit the model's shape or its likelihood's support."""
    if model.recipe is None:
        return
    expected = tuple(model.recipe.values["event_shape"])
    if dataset.event_shape != expected:
        raise ValueError(
            f"the model describes data of shape {expected}, but {dataset.name} has rows of shape {dataset.event_shape}."
        )
    likelihood = model.recipe.values["likelihood"]
    for split in ("train", "validation", "test"):
        if split == "train" and dataset.levels is not None:
            continue  # drawn as 0 and 1 before the likelihood sees them
        values = getattr(dataset, split)
        if len(values):
            check_support(likelihood, values, where=f"the {split} split of {dataset.name}")


def check_rows(recipe: Mapping[str, Any] | None, values: np.ndarray, name: str) -> None:
    """Raises ValueError when rows do not fit the shape or the likelihood's support of a recipe.

    check_rows(model.recipe.values, load_rows("new.npy").values, "new.npy")
    """
    if recipe is None:
        return
    expected = tuple(recipe["event_shape"])
    if values.shape[1:] != expected:
        raise ValueError(
            f"the model describes data of shape {expected}, but {name} has rows of shape "
            f"{values.shape[1:]}; give rows like those it was trained on."
        )
    check_support(recipe["likelihood"], values, where=name)


def check_posterior(model: Model, dataset: Dataset) -> None:
    """Raises ValueError when nothing could account for the model: posteriors that cannot be stacked, or a prior that gives their draws no density."""
    x = jnp.asarray(dataset.train[:1])

    def shapes(model, x):
        posterior, prior = root_of(model.encoder(x[0])), top_of(model.prior(model.encoder))
        kinds[:] = [is_discrete(posterior), is_discrete(prior)]
        return stack(lambda x: root_of(model.encoder(x)), x)

    kinds: list[bool] = []
    eqx.filter_eval_shape(shapes, model, x)
    if kinds[0] != kinds[1]:
        names = ["discrete" if kind else "continuous" for kind in kinds]
        raise ValueError(
            f"the encoder's posteriors are {names[0]} and the prior is {names[1]}: it gives their draws no density. Use a {names[0]} prior, or --prior vamp, a "
            "mixture of the encoder's own posteriors."
        )
