"""The account: every nat of the evidence lower bound on its line, each with a standard error, the identities closing on the same draws.

    log p(x) - Jensen gap = ELBO = reconstruction - average KL             average KL = I(n; z) + marginal KL
                                 = - expected energy + entropy         marginal KL = total correlation + dimension-wise KL

In a model of several levels that is inferred from the top downwards the average KL is the sum of the KLs of its levels, and I(n; z) and the marginal KL split
that of the top level. Inferred from the data upwards (a Markov chain), they split the average KL of all levels together, exactly (see `surgery`).

Two standard errors are kept apart. `standard_error` is the Monte Carlo one: how far a re-run with other draws on the same data would fall. `data_error` is
that of a mean over the data as a sample: how far another split of the same size would fall.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy._lines import (
    Line,
    check_closure,
    level_names,
    line_from_data,
    line_from_draws,
    with_subset_error,
)
from jensen.anatomy._record import Account
from jensen.anatomy.account_evidence import account_evidence
from jensen.anatomy.bits import dimensions_in_bits
from jensen.anatomy.gaps import check_gaps, inference_gaps
from jensen.anatomy.joint_information import joint_information
from jensen.anatomy.marginals import marginals
from jensen.anatomy.surgery import Surgery, surgery
from jensen.anatomy.units import active_units
from jensen.anatomy.verdicts import verdicts
from jensen.distributions import CONTINUOUS, code_kind
from jensen.interop import foreign_remarks, guarded, left_out
from jensen.model import Model
from jensen.progress import OnProgress, silent

ONE_ROW = (
    "One row: there is no I(n; z) of a single datum (its line is 0 whatever the model), the "
    "marginal KL is that datum's whole KL and no fault of the prior, and units cannot be told active."
)


@guarded
def account(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    split: str = "test",
    num_samples: int = 1000,
    num_draws: int | None = None,
    aggregated_over: int | None = None,
    gaps: int | None = None,
    gap_family: str = "own",
    fingerprint: str = "",
    remarks: tuple[str, ...] = (),
    on_progress: OnProgress = silent,
) -> Account:
    """The account of a model on data, at beta = 1.

    Args:
        model: prior, encoder, decoder.
        data: [N, *event]; q(z) is the exact mixture over these N.
        key: a JAX random key.
        split: what the data are called.
        num_samples: importance samples per datum for the evidence; data of high k-hat are annealed where they are few enough (see
            `anatomy.account_evidence`).
        num_draws: posterior draws per datum for every other line; by default as many as the surgery affords (1 to 16).
        aggregated_over: take q(z) over random subsets of so many data; by default over all N, or as many as can be afforded (see `anatomy.aggregated`): for
            normal posteriors that is all, for those of a flow a few thousand.
        gaps: split the Jensen gap on so many data, chosen at random (all, where there are no more); by default it is not split.
        gap_family: of the posteriors that the split refines: 'own' (the encoder's), 'diagonal', 'full' or 'flow' (see `anatomy.gaps`).
        fingerprint: of the data, kept for `compare`.
        remarks: further verdicts, e.g. about the training.
        on_progress: called with what is being done, how much is done, and the total.

    Returns:
        An `Account`.

    Raises:
        ValueError: no data, values outside the likelihood's support, posteriors that cannot be stacked, densities that are not finite, or gaps asked of
            discrete codes.

        print(jensen.account(model, data.test, key=jax.random.key(0)))
    """
    data = np.asarray(data)
    _check_data(model, data)
    # Before anything long: a mistake in somebody's model is worth no waiting.
    remarks = (*remarks, *foreign_remarks(model, data))
    key_surgery, key_evidence = jr.split(key)
    key_joint, key_gaps = jr.fold_in(key, 2), jr.fold_in(key, 3)
    if gaps is not None:  # refused before anything takes long
        check_gaps(model, data, gaps, gap_family)
    cut = surgery(
        model,
        data,
        key=key_surgery,
        num_draws=num_draws,
        aggregated_over=aggregated_over,
        on_progress=on_progress,
    )
    estimate = account_evidence(
        model,
        data,
        key=key_evidence,
        num_samples=num_samples,
        on_progress=on_progress,
    )
    lines, levels = cut_lines(cut)
    parts, lacking = marginals(cut)
    check_closure(
        {
            name: line.value
            for name, line in (lines | levels | ({} if parts is None else parts.lines)).items()
        }
    )
    lines["evidence"] = line_from_data(
        estimate.values, estimate.standard_errors, bound=estimate.bound
    )
    # Evidence and ELBO are estimated from different draws, so their Monte Carlo errors are independent.
    lines["jensen_gap"] = line_from_data(
        estimate.values - lines["elbo"].per_datum,
        np.hypot(estimate.standard_errors, lines["elbo"].per_datum_error),
        bound=estimate.bound,
    )
    split_gap = None
    if gaps is not None:
        measured: dict[str, Any] = {
            "evidence": lines["evidence"],
            "elbo": lines["elbo"],
            "rows": gaps,
            "family": gap_family,
        }
        split_gap = inference_gaps(model, data, key=key_gaps, **measured, on_progress=on_progress)
    prior, encoder = (
        "" if model.recipe is None else model.recipe.values[part]["name"]
        for part in ("prior", "encoder")
    )
    found = Account(
        split=split,
        n=len(data),
        **lines,  # pyright: ignore[reportArgumentType]
        active_units=active_units(cut.posterior_means.reshape(len(data), -1)),
        latent_dim=math.prod(cut.posterior_means.shape[1:]),
        evidence_estimate=estimate,
        num_draws=cut.log_posterior.shape[1],
        fingerprint=fingerprint,
        levels=levels,
        joint_information=joint_information(model, data, key=key_joint)
        if levels and len(data) > 1
        else None,
        dimensions=dimensions_in_bits(model),
        aggregated_over=cut.aggregated_over,
        marginals=parts,
        gaps=split_gap,
        left_out=lacking | left_out(model),
        prior=prior,
        encoder=encoder,
        row_counts=cut.row_counts,
        # What `jensen.trial` refuses: models without a recipe, chains, discrete codes.
        can_try_prior=model.recipe is not None
        and not model.encoder.bottom_up
        and code_kind(model.encoder(jnp.asarray(data[0]))) == CONTINUOUS,
    )
    if len(data) == 1:
        remarks = (*remarks, ONE_ROW)
    return replace(found, verdicts=(*remarks, *verdicts(found, prior, encoder)))


def cut_lines(cut: Surgery) -> tuple[dict[str, Line], dict[str, Line]]:
    """The lines that a surgery gives, and the KL of each level in a model of several whose levels are not indexed together.

    cut_lines(surgery(model, x, key=key))[0]["marginal_kl"]
    """

    def line(value: Callable[[Surgery], np.ndarray]) -> Line:
        return line_from_draws(value(cut), None if cut.again is None else value(cut.again))

    names = (
        level_names(len(cut.level_log_priors))
        if len(cut.indexed) < len(cut.level_log_priors)
        else ()
    )
    levels = {
        name: line(lambda c, at=at: c.level_log_posteriors[at] - c.level_log_priors[at])
        for at, name in enumerate(names)
    }
    return {
        "elbo": line(lambda c: c.log_likelihood + c.log_prior - c.log_posterior),
        "reconstruction": line(lambda c: c.log_likelihood),
        "average_kl": line(lambda c: c.log_posterior - c.log_prior),
        # Both are made of log q(z): the data that it is over, where those are random ones, move all of it together.
        "index_information": with_subset_error(
            line(lambda c: c.index_information), cut.subset_error
        ),
        "marginal_kl": with_subset_error(line(lambda c: c.marginal_kl), cut.subset_error),
        "expected_energy": line(lambda c: -(c.log_likelihood + c.log_prior)),
        "entropy": line(lambda c: -c.log_posterior),
    }, levels


def _check_data(model: Model, data: np.ndarray) -> None:
    from jensen.likelihoods import check_support

    if model.recipe is None:
        return
    expected = tuple(model.recipe.values["event_shape"])
    if data.shape[1:] != expected:
        raise ValueError(
            f"the model describes data of shape {expected}; got rows of shape {data.shape[1:]}."
        )
    check_support(model.recipe.values["likelihood"], data)
