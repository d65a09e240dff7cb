"""The divergences that are compared, and how the library minimises each of them.

Only the ELBO is maximised over fixed draws. With fixed draws a bound from above has no minimum: as
q shrinks to a point, every log w = log p - log q falls without end. The bound of one group of
weights has no maximum: as q, with its mode held at one of its draws, widens, the log w of that
draw rises without end. The stochastic method follows gradients of expectations, which have
neither fault.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jensen.reproductions.divergences._two_normals import variance_of_iwae, variance_of_power

IWAE_SAMPLES, IWAE_GROUPS, MANY_SAMPLES = 10, 50, 1000


@dataclass(frozen=True)
class Divergence:
    """A choice of f.

    Attributes:
        label: for table and picture.
        meaning: what is minimised, in words.
        best_variance: rho -> the variance of the best mean-field normal for two normals.
        bound, num_samples: as `jensen.fit_variational` takes them; without a bound, the ELBO is
            maximised over fixed draws.
        all_targets: whether it is fitted to all targets; otherwise to the two normals alone.
        needs_second_moment: whether it is infinite unless E_q w^2 is finite.
        two_normals_factor: for the two normals the draws of a step are multiplied by it. Their
            answer is known, and the bias of order 1/K would show.
    """

    label: str
    meaning: str
    best_variance: Callable[[float], float]
    bound: Any = None
    num_samples: int = 0
    all_targets: bool = True
    needs_second_moment: bool = False
    two_normals_factor: int = 1


def _power(a: float) -> Callable[[float], float]:
    return lambda rho: variance_of_power(a, rho)


DIVERGENCES: dict[str, Divergence] = {
    "renyi_2": Divergence(
        "Renyi 2",
        "Renyi's divergence of q from p, alpha = 2",
        _power(-1),
        {"name": "renyi", "alpha": 2.0},
        MANY_SAMPLES,
        all_targets=False,
    ),
    "elbo": Divergence("ELBO: KL(q || p)", "the reverse KL", _power(0)),
    "renyi_half": Divergence(
        "Renyi 1/2",
        "Renyi's divergence, alpha = 1/2",
        _power(0.5),
        {"name": "renyi", "alpha": 0.5},
        MANY_SAMPLES,
    ),
    "jensen_shannon": Divergence(
        "Jensen-Shannon",
        "the mean KL of both from their mean",
        _power(0.5),
        {"name": "f_divergence", "generator": "jensen_shannon"},
        250,
        all_targets=False,
    ),
    "eubo": Divergence(
        "EUBO: KL(p || q)",
        "the forward KL, by self-normalised weights",
        _power(1),
        "eubo",
        MANY_SAMPLES,
        two_normals_factor=4,
    ),
    "iwae": Divergence(
        f"IWAE, K = {IWAE_SAMPLES}",
        f"log p less the importance weighted bound of {IWAE_SAMPLES} draws",
        lambda rho: variance_of_iwae(IWAE_SAMPLES, rho),
        # Its expectation is that of iwae with 10 samples; 50 groups a step have less noise.
        {"name": "miwae", "num_groups": IWAE_GROUPS},
        IWAE_SAMPLES * IWAE_GROUPS,
        two_normals_factor=4,
    ),
    "cubo": Divergence(
        "CUBO: chi^2",
        "the chi^2 divergence of p from q",
        _power(2),
        "cubo",
        MANY_SAMPLES,
        needs_second_moment=True,
        two_normals_factor=4,
    ),
}
