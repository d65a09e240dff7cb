"""What codes a distribution is over: a prior and a posterior must be over the same ones, and discrete codes have no way between them."""

from typing import Any

from numpyro.distributions import constraints

from jensen._types import Array
from jensen.distributions.joint import root_of
from jensen.distributions.moments import mean_of

CONTINUOUS, DISCRETE, BINARY = "continuous", "discrete", "binary"


def code_kind(distribution: Any) -> str:
    """'continuous', 'binary', 'one-hot (of K classes)', or what its support is called; that of the root level, of several.

    A distribution without a support (a mixture of one's posteriors) is 'discrete' if it says `is_discrete`, and continuous otherwise.

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
    """Whether two kinds go together: equal ones, and any discrete one with the 'discrete' that says no more.

    same_codes("binary", "discrete")  # True
    """
    return one == other or (DISCRETE in (one, other) and CONTINUOUS not in (one, other))


def point_code(distribution: Any) -> Array:
    """The one code of the root level that stands for the distribution: the mean, or of discrete codes, whose mean is no code, the most probable one.

    point_code(Bernoulli(jnp.array([-1.0, 2.0])))  # [0, 1]
    """
    root = root_of(distribution)
    return (
        mean_of(root) if code_kind(root) == CONTINUOUS or not hasattr(root, "mode") else root.mode
    )
