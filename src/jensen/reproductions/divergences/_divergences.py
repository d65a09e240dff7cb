"""The choices of f, and how the library fits each of them.

Only the ELBO is climbed over fixed draws. With them the value of a bound from above has no least: as q shrinks to a point all log w = log p - log q fall
without end. That of one group of weights has no greatest: as q widens about one of its draws, held at the mode, that draw's log w rises without end. The
gradients of the stochastic method are of the expectations, which know neither.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jensen.reproductions._divergences._two_normals import variance_of_iwae, variance_of_power

IWAE_SAMPLES, IWAE_GROUPS, MANY = 10, 50, 1000


@dataclass(frozen=True)
class Divergence:
    """A choice of f.

    Attributes:
        label: for table and picture; `meaning`: what is minimised, in words.
        best_variance: rho -> the variance of the best mean-field normal for two normals.
        bound, num_samples: as `jensen.fit_variational` takes them; no bound is the ELBO over fixed draws.
        everywhere: whether it is fitted to all targets, not to the two normals alone.
        squares: whether it asks for a finite E_q w^2.
        sharper: how many times as many draws a step the two normals get, where the answer is known and the bias of order 1/K would show.
    """

    label: str
    meaning: str
    best_variance: Callable[[float], float]
    bound: Any = None
    num_samples: int = 0
    everywhere: bool = True
    squares: bool = False
    sharper: int = 1


def _power(a: float) -> Callable[[float], float]:
    return lambda rho: variance_of_power(a, rho)


DIVERGENCES: dict[str, Divergence] = {
    "renyi_2": Divergence(
        "Renyi 2",
        "Renyi's divergence of q from p, alpha = 2",
        _power(-1),
        {"name": "renyi", "alpha": 2.0},
        MANY,
        everywhere=False,
    ),
    "elbo": Divergence("ELBO: KL(q || p)", "the reverse KL", _power(0)),
    "renyi_half": Divergence(
        "Renyi 1/2",
        "Renyi's divergence, alpha = 1/2",
        _power(0.5),
        {"name": "renyi", "alpha": 0.5},
        MANY,
    ),
    "jensen_shannon": Divergence(
        "Jensen-Shannon",
        "the mean KL of both from their mean",
        _power(0.5),
        {"name": "f_divergence", "generator": "jensen_shannon"},
        250,
        everywhere=False,
    ),
    "eubo": Divergence(
        "EUBO: KL(p || q)",
        "the forward KL, by self-normalised weights",
        _power(1),
        "eubo",
        MANY,
        sharper=4,
    ),
    "iwae": Divergence(
        f"IWAE, K = {IWAE_SAMPLES}",
        f"log p less the importance weighted bound of {IWAE_SAMPLES} draws",
        lambda rho: variance_of_iwae(IWAE_SAMPLES, rho),
        {
            "name": "miwae",
            "num_groups": IWAE_GROUPS,
        },  # its expectation is that of iwae at 10 draws; 50 groups a step have less noise
        IWAE_SAMPLES * IWAE_GROUPS,
        sharper=4,
    ),
    "cubo": Divergence(
        "CUBO: chi^2",
        "the chi^2 divergence of p from q",
        _power(2),
        "cubo",
        MANY,
        squares=True,
        sharper=4,
    ),
}
