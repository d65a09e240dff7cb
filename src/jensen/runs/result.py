"""What a training returns, with or without a run folder."""

from dataclasses import dataclass
from typing import Any

from jensen.model import Model
from jensen.runs.run import Run
from jensen.training import Outcome


@dataclass(frozen=True)
class Fit:
    """What `jensen.fit` returns.

    Attributes:
        model: the best model by validation bound.
        last: the model after the last epoch.
        history: one record for each epoch, nats per datum. With `account_every`, records hold
            'account': its cheap lines on a fixed subset of the training data (see
            `anatomy.in_training`).
        outcome: how the training ended.
        seconds: its duration, compilation included.
        run: the run folder; None where nothing was written.
        stop_requested: whether a signal asked for the end, even if the training ended by itself in
            the same epoch.

    Example:
        jensen.fit(model, data, key=jax.random.key(0)).outcome.message
    """

    model: Model
    last: Model
    history: list[dict[str, Any]]
    outcome: Outcome
    seconds: float
    run: Run | None = None
    stop_requested: bool = False
