"""The settings of a training, and the KL warm-up that they describe."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp

from jensen._rooms import nearest
from jensen._types import Array
from jensen.training.optimisers import OPTIMISERS


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of `train`.

    Attributes:
        epochs: at most this many passes over the training data.
        batch_size: data per step; the last batch of an epoch may be smaller.
        num_samples: posterior samples per datum and step.
        optimiser: 'adam', or 'adam_norm_grad', which divides each parameter tensor's gradient by its norm first (see `optimisers`).
        learning_rate: of Adam (Kingma & Ba 2015).
        beta: the weight of the KL term that training uses. Evaluation is always at beta = 1.
        warm_up: over this many epochs the weight rises linearly from beta / warm_up to beta; without it, codes are easily switched off before the decoder has
            learned to use them. By default a fifth of `epochs`, at most 20.
        cool_down: over this many epochs at the end the learning rate falls linearly to 0; 0 keeps it. It counts from the last of `epochs`, so that a run that
            stops early never reaches it.
        patience: stop after this many epochs without a better validation bound, counted from the end of the warm-up; 0 never stops early.
        select_by: what the best epoch and early stopping go by: 'bound', the validation value of the bound itself, or 'elbo'. A bound that approaches log p(x)
            from above ranks no models, and the ELBO stands in for it.
        checkpoint_seconds: a checkpoint is written at the end of the first epoch after this long; 0 writes one each epoch.

    Raises:
        ValueError: a value out of range.

        TrainingOptions(epochs=100, warm_up=20)
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by the configuration, which refuses unknown keys)

    epochs: int = 300
    batch_size: int = 100
    num_samples: int = 1
    learning_rate: float = 1e-3
    beta: float = 1.0
    warm_up: int | None = None
    patience: int = 50
    checkpoint_seconds: float = 10.0
    optimiser: str = "adam"
    cool_down: int = 0
    select_by: Literal["bound", "elbo"] = "bound"

    def __post_init__(self):
        if self.warm_up is None:
            object.__setattr__(self, "warm_up", min(20, self.epochs // 5))
        for name, least in [
            ("epochs", 1),
            ("batch_size", 1),
            ("num_samples", 1),
            ("warm_up", 0),
            ("cool_down", 0),
            ("patience", 0),
            ("checkpoint_seconds", 0),
            ("beta", 0),
        ]:
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}.")
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"unknown optimiser {self.optimiser!r}{nearest(self.optimiser, OPTIMISERS)}; known: {', '.join(OPTIMISERS)}.")
        if self.select_by not in ("bound", "elbo"):
            raise ValueError(f"select_by must be 'bound' or 'elbo'; got {self.select_by!r}.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be positive and finite; got {self.learning_rate}. 0.001 is a good start.")

    def beta_at(self, epoch: int | Array) -> Array:
        """The KL weight in epoch 1, 2, ...: beta * min(1, epoch / warm_up)."""
        return self.beta * jnp.minimum(1.0, epoch / max(self.warm_up or 0, 1))

    def rate_at(self, epoch: int | Array) -> Array:
        """What the learning rate is multiplied with in epoch 1, 2, ...: min(1, (epochs - epoch + 1) / (cool_down + 1))."""
        return jnp.minimum(1.0, (self.epochs - epoch + 1) / (self.cool_down + 1))

    @property
    def warm_up_unfinished(self) -> bool:
        """Whether training ends before the KL weight has reached beta: the model is then silently one of a smaller beta."""
        return (self.warm_up or 0) > self.epochs
