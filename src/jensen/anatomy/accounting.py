"""Makes the account: every line with a standard error, the identities closing on the same draws.

    log p(x) - Jensen gap = ELBO = reconstruction - average KL
                                 = - expected energy + entropy
    average KL = I(n; z) + marginal KL
    marginal KL = total correlation + dimension-wise KL

In a model of several levels that is inferred from the top downwards the average KL is the sum of
the KLs of its levels, and I(n; z) and the marginal KL split that of the top level. Inferred from
the data upwards (a Markov chain), they split the average KL of all levels together, exactly (see
`elbo_surgery`).

Two standard errors are kept apart. `standard_error` is the Monte Carlo one: how far a repetition
with other draws on the same data would lie. `data_error` is that of a mean over the data as a
sample: how far another split of the same size would lie.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy.accounts import Account
from jensen.anatomy.bits import dimensions_in_bits
from jensen.anatomy.elbo_surgery import surgery
from jensen.anatomy.evidence_line import account_evidence
from jensen.anatomy.gaps import check_gaps, inference_gaps
from jensen.anatomy.level_information import joint_information
from jensen.anatomy.line_table import field_names
from jensen.anatomy.lines import Line, check_closure, line_from_data, with_shared_error
from jensen.anatomy.marginal_split import marginals
from jensen.anatomy.surgery_lines import level_lines, surgery_lines
from jensen.anatomy.units import active_units
from jensen.anatomy.verdicts import account_verdicts
from jensen.distributions import CONTINUOUS, code_kind
from jensen.evidence import Evidence
from jensen.interop import foreign_remarks, guarded, left_out
from jensen.likelihoods import check_support
from jensen.model import Model
from jensen.progress import OnProgress, silent

ONE_ROW = (
    "One row: there is no I(n; z) of a single datum (its line is 0 whatever the model), the "
    "marginal KL is that datum's whole KL and no fault of the prior, and units cannot be told "
    "active."
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
    row_columns: Mapping[str, np.ndarray] | None = None,
    on_progress: OnProgress = silent,
) -> Account:
    """Account for every nat of a model's evidence lower bound on data, at beta = 1.

    Args:
        model: prior, encoder, decoder.
        data: [N, *event]; q(z) is the exact mixture over these N.
        key: a JAX random key.
        split: what the data are called.
        num_samples: importance samples per datum for the evidence; data of high k-hat are annealed
            where they are few enough (see `anatomy.evidence_line`).
        num_draws: posterior draws per datum for every other line; by default as many as the surgery
            affords (1 to 16).
        aggregated_over: take q(z) over random subsets of so many data; by default over all N, or as
            many as can be afforded (see `anatomy.aggregated`): for normal posteriors that is all,
            for those of a flow a few thousand.
        gaps: split the Jensen gap on so many data, chosen at random (all, where there are no more);
            by default it is not split.
        gap_family: of the posteriors that the split refines: 'own' (the encoder's), 'diagonal',
            'full' or 'flow' (see `anatomy.gaps`).
        fingerprint: of the data, kept for `compare`.
        remarks: further verdicts, e.g. about the training.
        row_columns: the columns that name the rows, [N] each: "row", "split" and index columns (see
            `datasets.Rows.columns`). Influential data are then named by them, else by position.
        on_progress: called with what is being done, how much is done, and the total.

    Returns:
        An `Account`.

    Raises:
        ValueError: no data, values outside the likelihood's support, posteriors that cannot be
            stacked, densities that are not finite, or gaps asked of discrete codes.

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
    draws = surgery(
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
    lines, levels = surgery_lines(draws), level_lines(draws)
    parts, lacking = marginals(draws)
    same_draws = lines | levels | ({} if parts is None else parts.lines)
    check_closure({name: line.value for name, line in same_draws.items()})
    lines |= _evidence_lines(estimate, lines["elbo"])
    split_gap = None
    if gaps is not None:
        split_gap = inference_gaps(
            model,
            data,
            key=key_gaps,
            evidence=lines["evidence"],
            elbo=lines["elbo"],
            rows=gaps,
            family=gap_family,
            on_progress=on_progress,
        )
    prior, encoder = (
        "" if model.recipe is None else model.recipe.values[part]["name"]
        for part in ("prior", "encoder")
    )
    result = Account(
        split=split,
        n=len(data),
        **{name: lines[name] for name in field_names()},  # pyright: ignore[reportArgumentType]
        further_lines={k: line for k, line in lines.items() if k not in field_names()},
        active_units=active_units(draws.posterior_means.reshape(len(data), -1)),
        latent_dim=math.prod(draws.posterior_means.shape[1:]),
        evidence_estimate=estimate,
        num_draws=draws.log_posterior.shape[1],
        fingerprint=fingerprint,
        levels=levels,
        joint_information=joint_information(model, data, key=key_joint)
        if levels and len(data) > 1
        else None,
        dimensions=dimensions_in_bits(model),
        aggregated_over=draws.aggregated_over,
        marginals=parts,
        gaps=split_gap,
        left_out=lacking | left_out(model),
        prior=prior,
        encoder=encoder,
        row_counts=draws.row_counts,
        # What `jensen.trial` refuses: models without a recipe, chains, discrete codes.
        can_try_prior=model.recipe is not None
        and not model.encoder.bottom_up
        and code_kind(model.encoder(jnp.asarray(data[0]))) == CONTINUOUS,
        row_columns=_checked_columns(row_columns, len(data)),
    )
    if len(data) == 1:
        remarks = (*remarks, ONE_ROW)
    return replace(result, verdicts=(*remarks, *account_verdicts(result)))


def _evidence_lines(estimate: Evidence, elbo: Line) -> dict[str, Line]:
    """log p(x), and the Jensen gap between it and the ELBO."""
    values, errors = estimate.values, estimate.standard_errors
    # Evidence and ELBO are made of different draws: their Monte Carlo errors are independent.
    gap_errors = np.hypot(errors, elbo.per_datum_error)
    lines = {
        "evidence": line_from_data(values, errors, bound=estimate.bound),
        "jensen_gap": line_from_data(values - elbo.per_datum, gap_errors, bound=estimate.bound),
    }
    if estimate.bound:  # no error is told
        return lines
    return {name: with_shared_error(line, estimate.bias) for name, line in lines.items()}


def _checked_columns(columns: Mapping[str, np.ndarray] | None, n: int) -> dict[str, np.ndarray]:
    checked = {name: np.asarray(column) for name, column in (columns or {}).items()}
    # Objects and dates are kept as text, which JSON and .npz files can hold.
    checked = {k: v if v.dtype.kind in "biufU" else v.astype(str) for k, v in checked.items()}
    for name, column in checked.items():
        if column.shape != (n,):
            raise ValueError(
                f"row_columns: {name!r} must have one value for each of the {n} data; got an array "
                f"of shape {column.shape}."
            )
    return checked


def _check_data(model: Model, data: np.ndarray) -> None:
    if model.recipe is None:
        return
    expected = tuple(model.recipe.values["event_shape"])
    if data.shape[1:] != expected:
        raise ValueError(
            f"the model describes data of shape {expected}; got rows of shape {data.shape[1:]}."
        )
    check_support(model.recipe.values["likelihood"], data)
