"""The settings of a training, and the KL weight and learning rate that they give each epoch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

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
        epochs: maximum number of passes over the training data.
        batch_size: data per step; the last batch of an epoch may be smaller.
        num_samples: posterior samples per datum and step.
        optimiser: 'adam', or 'adam_norm_grad', which first divides each parameter tensor's gradient
            by its norm (see `optimisers`).
        learning_rate: learning rate of Adam (Kingma & Ba 2015).
        beta: KL weight in training, 0 or more. Evaluation is always at beta = 1.
        warm_up: number of epochs over which the KL weight rises to beta. Without warm-up, latent
            dimensions are easily switched off before the decoder has learned to use them. By
            default a fifth of `epochs`, at most 20; for a cyclical schedule all `epochs`, as in its
            paper.
        beta_schedule: shape of the rise: 'linear', 'cosine' or 'cyclical' (see `schedules`).
        beta_cycles: number of cycles of a cyclical schedule within the warm-up.
        beta_ramp: share of a cycle in which the weight rises, for a cyclical schedule; the weight
            is beta for the rest of the cycle.
        cool_down: number of epochs at the end over which the learning rate falls linearly to 0; 0
            keeps it constant. It counts from the last of `epochs`, so that a run that stops early
            never reaches it.
        rate_stages: number of stages in which the learning rate falls tenfold, each three times as
            long as the one before (see `rates`); 0 keeps it constant.
        adam_epsilon: constant that Adam adds to the root of its second moment. Large values slow
            down parameters with small gradients.
        select_by: criterion of the best epoch and of early stopping: 'bound', the validation value
            of the bound itself, or 'elbo'. A bound that approaches log p(x) from above does not
            rank models; the ELBO is used in its place.
        patience: stop after this many epochs without a better validation bound; 0 never stops
            early. Counted from the epoch at which the KL weight reaches beta for good (`settled`;
            for a cyclical schedule the end of its last rise). With a beta other than 1 the best
            epoch, too, is chosen from there on: the validation bound is at beta = 1 and would
            choose a model of another weight. It may then fall while the objective still rises: use
            0 in that case.
        checkpoint_seconds: a checkpoint is written at the end of the first epoch after this many
            seconds; 0 writes one each epoch.
        account_every: `fit` computes the cheap lines of the account (I(n; z) and the marginal KL
            among them) of the current model every so many epochs, on a fixed random subset of the
            training data; 0 never does. They are computed less often where they would take more
            than 5% of the training's time. No weight changes.
        account_rows: M, the maximum number of data in that subset. I(n; z) of M data is at most log
            M.

    Raises:
        ValueError: if a value is out of range.

    Example:
        TrainingOptions(epochs=100, warm_up=20)
    """

    # Read by pydantic in the configuration, which then refuses unknown keys.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

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
        # The default depends on two other fields; the dataclass is frozen.
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
            if not getattr(self, name) >= least:  # refuses NaN, too
                raise ValueError(f"{name} must be at least {least}; got {getattr(self, name)}.")
        if not self.beta < float("inf"):
            raise ValueError(f"beta must be finite; got {self.beta}.")
        if self.beta_schedule not in SCHEDULES:
            raise ValueError(
                f"unknown beta_schedule {self.beta_schedule!r}"
                f"{nearest(self.beta_schedule, SCHEDULES)}; known: {', '.join(SCHEDULES)}."
            )
        if not 0 < self.beta_ramp <= 1:
            raise ValueError(
                "beta_ramp must be above 0 and at most 1, a share of a cycle; "
                f"got {self.beta_ramp}."
            )
        rise = self.beta_ramp * (self.warm_up or 0) / self.beta_cycles
        if self.beta_schedule == "cyclical" and rise < 2:
            raise ValueError(
                "a cyclical beta_schedule needs rises of at least 2 epochs; beta_ramp "
                f"{self.beta_ramp} of {self.beta_cycles} cycles in a warm-up of {self.warm_up} "
                f"epochs are {rise:.3g}. Use fewer beta_cycles, a longer --warm-up, or "
                "--beta-schedule linear."
            )
        if self.optimiser not in OPTIMISERS:
            raise ValueError(
                f"unknown optimiser {self.optimiser!r}{nearest(self.optimiser, OPTIMISERS)}; "
                f"known: {', '.join(OPTIMISERS)}."
            )
        if self.rate_stages == 1 or (self.rate_stages and self.cool_down):
            raise ValueError(
                "rate_stages must be 0 or at least 2, and cannot be combined with a cool_down, "
                f"which is another way to lower the rate; got rate_stages={self.rate_stages}, "
                f"cool_down={self.cool_down}."
            )
        if not 0 < self.adam_epsilon < float("inf"):
            raise ValueError(
                f"adam_epsilon must be positive and finite; got {self.adam_epsilon}. 1e-8 is "
                "Adam's default."
            )
        if self.select_by not in ("bound", "elbo"):
            raise ValueError(f"select_by must be 'bound' or 'elbo'; got {self.select_by!r}.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(
                f"learning_rate must be positive and finite; got {self.learning_rate}. 0.001 is a "
                "good start."
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
        """Compute the KL weight in epoch 1, 2, ...; `epoch` may be traced."""
        return self.beta * share_at(self.beta_schedule, epoch, *self._schedule)

    @property
    def settled(self) -> int:
        """The first epoch from which on the KL weight stays at beta."""
        return settled_from(self.beta_schedule, *self._schedule)

    def unsettled(self, epoch: int) -> str:
        """Describe the KL weight of a training that ends with this epoch before the warm-up is
        finished.

        The model is then one of another KL weight. Empty if the warm-up is finished.
        """
        phase = phase_at(self.beta_schedule, epoch, *self._schedule)
        if not phase or epoch < 1:
            return ""
        reached = float(self.beta_at(epoch))
        # Between two cycles the weight is beta, but not for good.
        reason = (
            f"the last epoch trained at beta = {reached:.3g}, not {self.beta:.3g}"
            if reached < self.beta
            else "the remaining cycles were not run"
        )
        return (
            f"the KL warm-up had not finished when training ended: {reason} "
            f"({self.beta_schedule} schedule, {phase}; it is {self.beta:.3g} for good from epoch "
            f"{self.settled} on)."
        )

    def rate_at(self, epoch: int | Array) -> Array:
        """Compute the factor of the learning rate in epoch 1, 2, ...; `epoch` may be traced.

        It is min(1, (epochs - epoch + 1) / (cool_down + 1)), or that of the epoch's stage.
        """
        if self.rate_stages:
            return staged_rate(epoch, self.epochs, self.rate_stages)
        return jnp.minimum(1.0, (self.epochs - epoch + 1) / (self.cool_down + 1))

    @property
    def _schedule(self) -> tuple[int, int, float]:
        return self.warm_up or 0, self.beta_cycles, self.beta_ramp


class RefittingKeywords(TypedDict, total=False):
    """The training options that `jensen.refit_prior` and `jensen.try_prior` take by keyword, with
    their types; see `TrainingOptions`."""

    epochs: int
    batch_size: int
    num_samples: int
    learning_rate: float
    patience: int
    optimiser: Literal["adam", "adam_norm_grad"]
    cool_down: int
    rate_stages: int
    adam_epsilon: float
    select_by: Literal["bound", "elbo"]


class TrainingKeywords(RefittingKeywords, total=False):
    """The training options that `jensen.fit` takes by keyword, with their types; see
    `TrainingOptions`."""

    beta: float
    warm_up: int | None
    checkpoint_seconds: float
    beta_schedule: Literal["linear", "cosine", "cyclical"]
    beta_cycles: int
    beta_ramp: float
    account_every: int
    account_rows: int


def options_from(
    given: Mapping[str, Any], *, caller: str, keywords: type = TrainingKeywords, **fixed: Any
) -> TrainingOptions:
    """The options given to a Python function by keyword, with those that it fixes.

    Args:
        given: {name: value}.
        caller: the function's name, for the message.
        keywords: the TypedDict of what it takes.
        **fixed: options that it sets itself.

    Raises:
        ValueError: an option that the function does not take, or a value out of range.

        options_from({"epochs": 3}, caller="fit").epochs  # 3
    """
    names = [f.name for f in fields(TrainingOptions) if f.name in keywords.__annotations__]
    for name in given:
        if name not in names:
            raise ValueError(
                f"{caller} has no option {name!r}{nearest(name, names)}; its training options: "
                f"{', '.join(names)}."
            )
    return TrainingOptions(**given, **fixed)
