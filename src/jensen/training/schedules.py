"""Schedules of the KL weight: what share of beta each epoch trains with. After its warm-up every schedule stays at all of it.

linear     epoch / warm_up (Sonderby et al. 2016, section 2.2)
cosine     (1 - cos(pi epoch / warm_up)) / 2: the same, but slow at both ends
cyclical   `cycles` times from 0 up again, each over the first part `ramp` of its cycle, then held (Fu et al. 2019, equations 6 and 7, a linear f)
"""

import math

import jax.numpy as jnp

from jensen._types import Array

SCHEDULES = ("linear", "cosine", "cyclical")


def share_at(schedule: str, epoch: int | Array, warm_up: int, cycles: int, ramp: float) -> Array:
    """The share of beta in epoch 1, 2, ..., from 0 to 1. `epoch` may be traced.

    share_at("linear", 5, 20, 4, 0.5)  # 0.25
    """
    rise = jnp.minimum(1.0, epoch / max(warm_up, 1))
    if schedule == "cosine":
        return 0.5 - 0.5 * jnp.cos(jnp.pi * rise)
    if schedule == "cyclical" and warm_up:
        # In units of 1 / cycles of an epoch everything is whole: no rounding moves the start of a cycle.
        within = (epoch - 1) * cycles % warm_up + cycles
        return jnp.where(epoch >= warm_up, 1.0, jnp.minimum(1.0, within / (ramp * warm_up)))
    return rise


def settled_from(schedule: str, warm_up: int, cycles: int, ramp: float) -> int:
    """The first epoch from which on the share is 1: the end of the (last) rise.

    settled_from("cyclical", 80, 4, 0.5)  # 70
    """
    return (
        math.ceil((cycles - 1 + ramp) * warm_up / cycles - 1e-9)
        if schedule == "cyclical"
        else warm_up
    )


def phase_at(schedule: str, epoch: int, warm_up: int, cycles: int, ramp: float) -> str:
    """Where in its schedule an epoch is, in words; empty when it has settled.

    phase_at("cyclical", 25, 80, 4, 0.5)  # 'cycle 2 of 4, rising'
    """
    settled = settled_from(schedule, warm_up, cycles, ramp)
    if epoch >= settled:
        return ""
    if schedule != "cyclical":
        return f"epoch {epoch} of {settled}"
    cycle = (max(epoch, 1) - 1) * cycles // warm_up + 1
    return f"cycle {cycle} of {cycles}, {'rising' if float(share_at(schedule, max(epoch, 1), warm_up, cycles, ramp)) < 1 else 'held'}"
