"""The measurements of the ladder of priors, all on the same draws of a frozen encoder.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z))
    log p(x) = log mean_s p(x|z_s) p(z_s) / q(z_s|x)

Reconstruction and I(n; z) do not depend on the prior, so the draws are made once and only log p(z)
is evaluated again for each prior. Differences between priors then have no noise of the draws. As
in `anatomy.accounting`, q(z) of a split is the exact mixture over that split's own data.
"""

from dataclasses import dataclass
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Distribution, Key
from jensen.anatomy import Surgery
from jensen.anatomy import surgery as perform_surgery
from jensen.anatomy.aggregated import log_densities
from jensen.anatomy.elbo_surgery import posterior_draws
from jensen.anatomy.lines import Line, line_from_data, line_from_draws, with_shared_error
from jensen.anatomy.prior_density import PAIRS_AT_A_TIME, log_density
from jensen.evidence import evidence_of_log_weights
from jensen.model import Model
from jensen.models.hvae import top_level
from jensen.progress import CountProgress, renamed

LINES = ("marginal_kl", "index_information", "elbo", "evidence")


@dataclass(frozen=True)
class SplitDraws:
    """The draws that priors are measured on: one per datum, and importance samples of the first M.

    Attributes:
        surgery: of all N data; its log_prior is that of the frozen model's own prior.
        z: importance samples [M, S, D], float32 unless whole numbers.
        log_w_without_prior: log p(x|z) - log q(z|x) of each [M, S], float64, nats. With several
            levels it holds all but log p(z) of the top level.
    """

    surgery: Surgery
    z: np.ndarray
    log_w_without_prior: np.ndarray


def split_draws(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    num_samples: int,
    rows: int,
    split: str,
    progress: bool = True,
) -> SplitDraws:
    """Makes the draws of one split.

    They are those of `jensen.account(model, data, key=key, num_samples=num_samples)`.

    Args:
        model: with a top level of which q(z|x) is known in closed form.
        data: [N, ...].
        key: of all draws.
        num_samples: importance samples S.
        rows: the first M data get importance samples.
        split: its name, for the progress bar.
        progress: whether the bar is shown.

    Raises:
        ValueError: a Markov chain, which has no q(z|x) of its top level.
    """
    top_level(model.encoder)  # refuses a Markov chain
    key_surgery, key_evidence = jr.split(key)
    with CountProgress(shown=progress) as bar:
        surgery = perform_surgery(
            model,
            data,
            key=key_surgery,
            on_progress=renamed(bar.advance, f"q(z), {split}"),
        )
    first = data[:rows]
    z, log_likelihood, log_priors, log_posteriors = posterior_draws(
        model, first, key_evidence, num_samples, block=max(1, PAIRS_AT_A_TIME // num_samples)
    )
    # The last level is the top one. Its posterior density is evaluated again in float64.
    lower_levels = (log_priors - log_posteriors)[..., :-1].sum(axis=-1)
    log_top_posterior = log_densities(surgery.posteriors[: len(first)], z)
    log_w_without_prior = log_likelihood + lower_levels - log_top_posterior
    z = z.astype(np.float32) if z.dtype == np.float64 else z
    return SplitDraws(surgery, z, log_w_without_prior)


def measure(prior: Distribution, draws: SplitDraws) -> dict[str, Any]:
    """Measures one prior on one split.

    Returns:
        For each of LINES its value, Monte Carlo standard error and data error, nats per datum,
        and its values per datum; 'k_hat_too_high' is the share of data with an untrusted k-hat.

    Raises:
        ValueError: a log p(z) that is not finite.

        measure(prior, draws)["marginal_kl"]["value"]
    """
    surgery = draws.surgery
    log_prior = log_density(prior, surgery.z)
    log_w = draws.log_w_without_prior + log_density(prior, draws.z)
    if not (np.isfinite(log_prior).all() and np.isfinite(log_w).all()):
        raise ValueError(
            "log p(z) is not finite at some draws of q(z|x): this prior gives them no density."
        )
    evidence = evidence_of_log_weights(log_w)
    lower_priors = surgery.level_log_priors[:-1].sum(axis=0)
    elbo = surgery.log_likelihood + lower_priors + log_prior - surgery.log_posterior
    lines = {
        "marginal_kl": with_shared_error(
            line_from_draws(surgery.log_aggregated - log_prior), surgery.subset_error
        ),
        "index_information": with_shared_error(
            line_from_draws(surgery.index_information), surgery.subset_error
        ),
        "elbo": line_from_draws(elbo),
        "evidence": line_from_data(evidence.values, evidence.standard_errors),
    }
    return {
        **{name: _line_values(line) for name, line in lines.items()},
        "k_hat_too_high": evidence.untrusted,
    }


def _line_values(line: Line) -> dict[str, Any]:
    return {
        name: getattr(line, name) for name in ("value", "standard_error", "data_error", "per_datum")
    }
