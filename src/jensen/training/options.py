"""The settings of a training, and the schedule of the KL weight that they describe."""

from dataclasses import dataclass, fields

import jax.numpy as jnp
import numpy as np

from jensen._rooms import nearest
from jensen._types import Array
from jensen.training.optimisers import OPTIMISERS
from jensen.training.rates import staged_rate
from jensen.training.schedules import SCHEDULES, phase_at, settled_from, share_at


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of `train`.

    Attributes:
        epochs: at most this many passes over the training data.
        batch_size: data per step; the last batch of an epoch may be smaller.
        num_samples: posterior samples per datum and step.
        optimiser: 'adam', or 'adam_norm_grad', which divides each parameter tensor's gradient by its norm first (see `optimisers`).
        learning_rate: of Adam (Kingma & Ba 2015).
        beta: the weight of the KL term that training uses, any number from 0 up. Evaluation is always at beta = 1.
        warm_up: over this many epochs the weight rises to beta; without it, codes are easily switched off before the decoder has learned to use them. By
            default a fifth of `epochs`, at most 20; of a cyclical schedule all `epochs`, as in its paper.
        beta_schedule: how it rises: 'linear', 'cosine' or 'cyclical' (see `schedules`).
        beta_cycles: of a cyclical schedule, how often the weight starts at 0 within the warm-up.
        beta_ramp: of a cyclical schedule, the share of a cycle in which the weight rises; it is held at beta for the rest.
        cool_down: over this many epochs at the end the learning rate falls linearly to 0; 0 keeps it. It counts from the last of `epochs`, so that a run that
            stops early never reaches it.
        rate_stages: the learning rate falls tenfold in so many stages, each three times as long as the one before (see `rates`); 0 keeps it.
        adam_epsilon: what Adam adds to the root of its second moment. Large ones slow down parameters of small gradients.
        select_by: what the best epoch and early stopping go by: 'bound', the validation value of the bound itself, or 'elbo'. A bound that approaches log p(x)
            from above ranks no models, and the ELBO stands in for it.
        patience: stop after this many epochs without a better validation bound; 0 never stops early. Counted from where the weight has risen to beta for good
            (`settled`; of a cyclical schedule the end of its last rise). With a beta other than 1 the best epoch is chosen from there on, too: the validation
            bound is at beta = 1 and would choose a model of another weight. It may then fall while the objective still rises: use 0 there.
        checkpoint_seconds: a checkpoint is written at the end of the first epoch after this long; 0 writes one each epoch.
        account_every: after every so many epochs `fit` takes the cheap lines of the account, I(n; z) and the marginal KL among them, of the current model on a
            fixed random subset of the training data; 0 never does. Rarer where it would take more than 5% of the training's time. Changes no weight.
        account_rows: M, how many data that subset has, at most. I(n; z) of M data is at most log M.

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
    rate_stages: int = 0
    adam_epsilon: float = 1e-8
    select_by: str = "bound"
    beta_schedule: str = "linear"
    beta_cycles: int = 4
    beta_ramp: float = 0.5
    account_every: int = 0
    account_rows: int = 1000

    def __post_init__(self):
        self._check_kinds()
        if self.warm_up is None:
            object.__setattr__(
                self,
                "warm_up",
                self.epochs if self.beta_schedule == "cyclical" else min(20, self.epochs // 5),
            )
        for name, least in [
            ("epochs", 1),
            ("batch_size", 1),
            ("num_samples", 1),
            ("warm_up", 0),
            ("cool_down", 0),
            ("patience", 0),
            ("rate_stages", 0),
            ("checkpoint_seconds", 0),
            ("beta", 0),
            ("beta_cycles", 1),
            ("account_every", 0),
            ("account_rows", 2),
        ]:
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}.")
        if not self.beta < float("inf"):
            raise ValueError(f"beta must be finite; got {self.beta}.")
        if self.beta_schedule not in SCHEDULES:
            raise ValueError(
                f"unknown beta_schedule {self.beta_schedule!r}{nearest(self.beta_schedule, SCHEDULES)}; known: {', '.join(SCHEDULES)}."
            )
        if not 0 < self.beta_ramp <= 1:
            raise ValueError(
                f"beta_ramp must be above 0 and at most 1, a share of a cycle; got {self.beta_ramp}."
            )
        rise = self.beta_ramp * (self.warm_up or 0) / self.beta_cycles
        if self.beta_schedule == "cyclical" and rise < 2:
            raise ValueError(
                f"a cyclical beta_schedule needs rises of at least 2 epochs; beta_ramp {self.beta_ramp} of {self.beta_cycles} cycles in a warm-up of "
                f"{self.warm_up} epochs are {rise:.3g}. Take fewer beta_cycles, a longer --warm-up, or --beta-schedule linear."
            )
        if self.optimiser not in OPTIMISERS:
            raise ValueError(
                f"unknown optimiser {self.optimiser!r}{nearest(self.optimiser, OPTIMISERS)}; known: {', '.join(OPTIMISERS)}."
            )
        if self.rate_stages == 1 or (self.rate_stages and self.cool_down):
            raise ValueError(
                f"rate_stages must be 0 or from 2 up, and not beside a cool_down, which is another way to lower the rate; got rate_stages={self.rate_stages}, "
                f"cool_down={self.cool_down}."
            )
        if not 0 < self.adam_epsilon < float("inf"):
            raise ValueError(
                f"adam_epsilon must be positive and finite; got {self.adam_epsilon}. 1e-8 is Adam's own."
            )
        if self.select_by not in ("bound", "elbo"):
            raise ValueError(f"select_by must be 'bound' or 'elbo'; got {self.select_by!r}.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate must be positive and finite; got {self.learning_rate}. 0.001 is a good start."
            )

    def _check_kinds(self) -> None:
        """Refuses 2.5 epochs and learning rates that are texts; NumPy's numbers become Python's."""
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and f.default is None:
                continue
            whole = isinstance(f.default, int) or f.name == "warm_up"
            if isinstance(f.default, str):
                continue  # held against the known names later
            kind, word = (int, "a whole number") if whole else (float, "a number")
            is_number = isinstance(value, int | float | np.integer | np.floating)
            if isinstance(value, bool) or not is_number or (whole and value % 1 != 0):
                raise ValueError(f"{f.name} must be {word}; got {value!r}.")
            object.__setattr__(self, f.name, kind(value))

    def beta_at(self, epoch: int | Array) -> Array:
        """The KL weight in epoch 1, 2, ...; `epoch` may be traced."""
        return self.beta * share_at(self.beta_schedule, epoch, *self._schedule)

    @property
    def settled(self) -> int:
        """The first epoch from which on the KL weight is beta and stays so."""
        return settled_from(self.beta_schedule, *self._schedule)

    def unsettled(self, epoch: int) -> str:
        """What a training that ends with this epoch has to say of its KL weight: it was not yet beta for good, and the model is one of another weight. Empty
        when there is nothing to say."""
        phase = phase_at(self.beta_schedule, epoch, *self._schedule)
        if not phase or epoch < 1:
            return ""
        reached = float(self.beta_at(epoch))
        ended = (
            f"the last epoch trained at beta = {reached:.3g}, not {self.beta:.3g}"
            if reached < self.beta
            else "what was to come was not run"
        )
        return (
            f"the KL warm-up had not finished when training ended: {ended} ({self.beta_schedule} schedule, {phase}; it is {self.beta:.3g} for good from epoch "
            f"{self.settled} on)."
        )

    def rate_at(self, epoch: int | Array) -> Array:
        """What the learning rate is multiplied with in epoch 1, 2, ...: min(1, (epochs - epoch + 1) / (cool_down + 1)), or that of its stage."""
        if self.rate_stages:
            return staged_rate(epoch, self.epochs, self.rate_stages)
        return jnp.minimum(1.0, (self.epochs - epoch + 1) / (self.cool_down + 1))

    @property
    def _schedule(self) -> tuple[int, int, float]:
        return self.warm_up or 0, self.beta_cycles, self.beta_ramp
