"""What is refused before a training begins: data that do not fit the model, a model that nothing
could account for."""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen.datasets import Dataset
from jensen.distributions import is_discrete, root_of, stack, top_of
from jensen.likelihoods import check_support
from jensen.model import Model

LARGE = 2000  # a size beyond which a model's parameters are counted before it is built
COPIES = 5  # of the parameters in training: current, best, gradient and two moments of Adam
MOST = 2**31 - 1  # the longest axis that XLA's indices reach


def check_size(recipe: Mapping[str, Any], build: Callable[[Any], Model]) -> None:
    """Raises ValueError when a model would not fit into memory; `build` makes it of a random key,
    and is only traced here: nothing is allocated."""
    sizes = dict(_sizes(recipe))
    largest = max(sizes, key=lambda name: sizes[name], default="")
    if not largest or sizes[largest] <= LARGE:
        return
    if sizes[largest] > MOST:
        raise ValueError(f"{largest} is at most {MOST}; got {sizes[largest]}.")
    leaves = jax.tree.leaves(eqx.filter_eval_shape(build, jr.key(0)))
    arrays = [leaf for leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct)]
    parameters = sum(leaf.size for leaf in arrays)
    needed, memory = COPIES * sum(leaf.size * leaf.dtype.itemsize for leaf in arrays), _memory()
    if memory and needed > memory:
        raise ValueError(
            f"the model has {parameters:,} parameters, and its training takes "
            f"{needed / 2**30:,.1f} GiB for {COPIES} copies of them; there are "
            f"{memory / 2**30:,.1f} GiB. Take a smaller {largest} (it is {sizes[largest]:,})."
        )


def _sizes(settings: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """(name, value) of all whole numbers in nested settings; of several in a list the largest."""
    if isinstance(settings, Mapping):
        for key, value in settings.items():
            if key != "event_shape":
                yield from _sizes(value, f"{name}.{key}" if name else str(key))
    elif isinstance(settings, list | tuple):
        numbers = [value for part in settings for _, value in _sizes(part)]
        if numbers:
            yield name, max(numbers)
    elif isinstance(settings, int) and not isinstance(settings, bool):
        yield name, settings


def _memory() -> int:
    """The bytes of the device that JAX computes on, of the machine for a CPU; 0 if unknown."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return int((device.memory_stats() or {}).get("bytes_limit", 0))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def check_data(model: Model, dataset: Dataset) -> None:
    """Raises ValueError when the data do not fit the model's shape or its likelihood's support."""
    if model.recipe is None:
        return
    expected = tuple(model.recipe.values["event_shape"])
    if dataset.event_shape != expected:
        raise ValueError(
            f"the model describes data of shape {expected}, but {dataset.name} has rows of shape "
            f"{dataset.event_shape}."
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
    """Raises ValueError when nothing could account for the model: posteriors that cannot be
    stacked, or a prior that gives their draws no density."""
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
            f"the encoder's posteriors are {names[0]} and the prior is {names[1]}: it gives their "
            f"draws no density. Use a {names[0]} prior, or --prior vamp, a "
            "mixture of the encoder's own posteriors."
        )
