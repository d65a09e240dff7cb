"""The kind of codes that a distribution is over: continuous, binary, one-hot, or discrete.

A prior and a posterior must be over codes of the same kind.
"""

from typing import Any

from numpyro.distributions import constraints

from jensen._types import Array
from jensen.distributions.joint import root_of
from jensen.distributions.moments import mean_of

CONTINUOUS, DISCRETE, BINARY = "continuous", "discrete", "binary"


def code_kind(distribution: Any) -> str:
    """Name the kind of codes of a distribution's root level.

    'continuous', 'binary', 'one-hot (of K classes)', or the representation of another discrete
    support. A distribution without a support (a mixture of an encoder's posteriors) is 'discrete'
    if its `is_discrete` is true, and 'continuous' otherwise.

        code_kind(Bernoulli(jnp.zeros(3)))  # 'binary'
    """
    root = root_of(distribution)
    support = getattr(root, "support", None)
    if support is None:
        return DISCRETE if getattr(root, "is_discrete", False) else CONTINUOUS
    if not support.is_discrete:
        return CONTINUOUS
    return (
        BINARY
        if getattr(support, "base_constraint", support) == constraints.boolean
        else repr(support)
    )


def same_codes(one: str, other: str) -> bool:
    """Whether two kinds match: equal kinds, or the generic 'discrete' with any discrete kind.

    same_codes("binary", "discrete")  # True
    """
    return one == other or (DISCRETE in (one, other) and CONTINUOUS not in (one, other))


def point_code(distribution: Any) -> Array:
    """Return one code of the root level that represents the distribution.

    The mean; for discrete codes, whose mean is not a code, the most probable code.

        point_code(Bernoulli(jnp.array([-1.0, 2.0])))  # [0, 1]
    """
    root = root_of(distribution)
    return (
        mean_of(root) if code_kind(root) == CONTINUOUS or not hasattr(root, "mode") else root.mode
    )
