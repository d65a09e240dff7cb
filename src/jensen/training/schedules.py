"""Schedules of the KL weight: the share of beta that each epoch trains with.

    linear     epoch / warm_up (Sonderby et al. 2016, section 2.2)
    cosine     (1 - cos(pi epoch / warm_up)) / 2: slow at both ends
    cyclical   `cycles` rises from 0, each over the first part `ramp` of its cycle, then constant
               (Fu et al. 2019, equations 6 and 7, with a linear f)

After its warm-up the share of every schedule stays at 1.
"""

import math

import jax.numpy as jnp

from jensen._types import Array

SCHEDULES = ("linear", "cosine", "cyclical")


def share_at(schedule: str, epoch: int | Array, warm_up: int, cycles: int, ramp: float) -> Array:
    """Compute the share of beta in epoch 1, 2, ..., from 0 to 1; `epoch` may be traced.

    share_at("linear", 5, 20, 4, 0.5)  # 0.25
    """
    rise = jnp.minimum(1.0, epoch / max(warm_up, 1))
    if schedule == "cosine":
        return 0.5 - 0.5 * jnp.cos(jnp.pi * rise)
    if schedule == "cyclical" and warm_up:
        # In units of 1 / cycles of an epoch all numbers are whole: no rounding moves the start of a
        # cycle.
        within = (epoch - 1) * cycles % warm_up + cycles
        return jnp.where(epoch >= warm_up, 1.0, jnp.minimum(1.0, within / (ramp * warm_up)))
    return rise


def settled_from(schedule: str, warm_up: int, cycles: int, ramp: float) -> int:
    """Compute the first epoch from which on the share stays at 1: the end of the (last) rise.

    settled_from("cyclical", 80, 4, 0.5)  # 70
    """
    # Less 1e-9, because rounding must not push a whole number up to the next epoch.
    return (
        math.ceil((cycles - 1 + ramp) * warm_up / cycles - 1e-9)
        if schedule == "cyclical"
        else warm_up
    )


def phase_at(schedule: str, epoch: int, warm_up: int, cycles: int, ramp: float) -> str:
    """Describe where in its schedule an epoch is; empty once the share stays at 1.

    phase_at("cyclical", 25, 80, 4, 0.5)  # 'cycle 2 of 4, rising'
    """
    end_of_rise = settled_from(schedule, warm_up, cycles, ramp)
    if epoch >= end_of_rise:
        return ""
    if schedule != "cyclical":
        return f"epoch {epoch} of {end_of_rise}"
    cycle = (max(epoch, 1) - 1) * cycles // warm_up + 1
    share = float(share_at(schedule, max(epoch, 1), warm_up, cycles, ramp))
    return f"cycle {cycle} of {cycles}, {'rising' if share < 1 else 'held'}"
