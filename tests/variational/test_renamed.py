"""Earlier names of a target's evaluation stay usable, with a warning."""

import jax.numpy as jnp
import pytest

from jensen.variational import target as target_module
from jensen.variational.target import Target, TargetEvaluation


def evaluate(u):
    return TargetEvaluation({"x": u}, jnp.sum(u), 2 * jnp.sum(u))


def test_the_earlier_names_of_evaluate_work_with_a_warning():
    options = {"constrain": lambda u: {"x": u}, "size": 2, "log_density": lambda u: 3 * jnp.sum(u)}
    with pytest.warns(DeprecationWarning, match="evaluate="):
        target = Target(**options, everything=evaluate)
    assert target.evaluate(jnp.ones(2)).log_likelihood == 4
    with pytest.warns(DeprecationWarning, match=r"Target\.evaluate"):
        assert target.everything(jnp.ones(2)).log_prior == 2
    with pytest.warns(DeprecationWarning, match="TargetEvaluation"):
        assert target_module.Everything is TargetEvaluation
