"""The measurements of the ladder of priors: the draws of a frozen encoder are made once, and only log p(z) is evaluated again for each prior.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z)),     log p(x) = log mean_s p(x|z_s) p(z_s) / q(z_s|x)

Reconstruction and I(n; z) do not know the prior. All priors see the same draws, so that differences between them are those of the priors. As everywhere (see
`anatomy.account`), q(z) of a split is the exact mixture over that split's own data.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Distribution, Key
from jensen.anatomy import Surgery, surgery
from jensen.anatomy._lines import Line, line_from_data, line_from_draws
from jensen.anatomy.aggregated import log_densities
from jensen.anatomy.prior_density import PAIRS_AT_A_TIME, log_density
from jensen.anatomy.surgery import posterior_draws
from jensen.evidence import evidence_of_log_weights
from jensen.model import Model
from jensen.models.hvae import top_level
from jensen.progress import CountProgress

LINES = ("marginal_kl", "index_information", "elbo", "evidence")


@dataclass(frozen=True)
class SplitDraws:
    """What the priors are measured on: the surgery's draws of all N data, and the importance samples of the first M.

    Attributes:
        cut: the surgery; its log_prior is that of the frozen model's own prior.
        z: importance samples [M, S, D], float32 unless whole numbers.
        rest: log p(x|z) - log q(z|x) of each [M, S], float64, nats; of several levels, all but the top's log p(z).
    """

    cut: Surgery
    z: np.ndarray
    rest: np.ndarray


def split_draws(
    model: Model,
    data: np.ndarray,
    key: Key,
    *,
    num_samples: int,
    rows: int,
    what: str,
    progress: bool = True,
) -> SplitDraws:
    """The draws of one split: those that `jensen.account(model, data, key=key, num_samples=num_samples)` makes, importance samples for the first `rows`.

    Raises:
        ValueError: a model whose top level has no q(z|x) in closed form.
    """
    top_level(model.encoder)  # refuses a Markov chain
    key_surgery, key_evidence = jr.split(key)
    with CountProgress(shown=progress) as bar:
        cut = surgery(
            model,
            data,
            key_surgery,
            on_progress=lambda done, total: bar.advance(f"q(z), {what}", done, total),
        )
    some = data[:rows]
    z, log_likelihood, log_priors, log_posteriors = posterior_draws(
        model, some, key_evidence, num_samples, block=max(1, PAIRS_AT_A_TIME // num_samples)
    )
    below = (log_priors - log_posteriors)[..., :-1].sum(axis=-1)
    rest = log_likelihood + below - log_densities(cut.posteriors[: len(some)], z)
    return SplitDraws(cut, z.astype(np.float32) if z.dtype == np.float64 else z, rest)


def measure(prior: Distribution, draws: SplitDraws) -> dict[str, Any]:
    """The lines of one prior on one split: value, Monte Carlo standard error and data error, nats per datum, and the values per datum.

    Raises:
        ValueError: a log p(z) that is not finite.

        measure(prior, draws)["marginal_kl"]["value"]
    """
    cut = draws.cut
    log_prior = log_density(prior, cut.z)
    weights = draws.rest + log_density(prior, draws.z)
    if not (np.isfinite(log_prior).all() and np.isfinite(weights).all()):
        raise ValueError(
            "log p(z) is not finite at some draws of q(z|x): this prior gives them no density."
        )
    evidence = evidence_of_log_weights(weights)
    lines = {
        "marginal_kl": line_from_draws(cut.log_aggregated - log_prior),
        "index_information": line_from_draws(cut.index_information),
        "elbo": line_from_draws(
            cut.log_likelihood
            + cut.level_log_priors[:-1].sum(axis=0)
            + log_prior
            - cut.log_posterior
        ),
        "evidence": line_from_data(evidence.values, evidence.standard_errors),
    }
    return {
        **{name: _record(line) for name, line in lines.items()},
        "k_hat_too_high": evidence.untrusted,
    }


def paired(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    """The mean difference per datum, and its standard error over the data: would it be there on other data?

    paired(np.ones(4), np.zeros(4))  # {'value': 1.0, 'standard_error': 0.0}
    """
    difference = ours - theirs
    return {
        "value": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / math.sqrt(len(difference))),
    }


def _record(line: Line) -> dict[str, Any]:
    return {
        name: getattr(line, name) for name in ("value", "standard_error", "data_error", "per_datum")
    }
