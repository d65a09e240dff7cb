"""An account as plain values, as arrays per datum, and as an xarray Dataset."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen._files import write_atomically
from jensen.anatomy._lines import LINES, MEANING, PARTS, Line, line_of_figures
from jensen.anatomy._record import Account
from jensen.anatomy.distinct_rows import RowCounts
from jensen.anatomy.gaps import Gaps
from jensen.anatomy.joint_information import JointInformation
from jensen.anatomy.marginals import COLUMNS, Marginals
from jensen.evidence import Evidence, OtherStart, pareto_k_threshold

if TYPE_CHECKING:
    import xarray

BY_DIMENSION = {
    "average_kl": "KL(q(z_j|x) || p(z_j))",
    "index_information": "I(n; z_j)",
    "marginal_kl": "KL(q(z_j) || p(z_j))",
}


def to_json(account: Account) -> dict[str, Any]:
    """Plain values.

    to_json(acc)["elbo"]["value"]
    """
    joint, columns = (
        account.joint_information,
        {} if account.marginals is None else account.marginals.by_dimension,
    )
    return {
        "split": account.split,
        "n": account.n,
        "log_n": account.log_n,
        "index_ceiling": account.index_ceiling,
        "distinct_rows": account.rows.distinct,
        "row_multiplicities": account.rows.to_json(),
        **{
            name: line.figures() | {"unit": "nats per datum"}
            for name, line in account.lines.items()
        },
        **({} if joint is None else {"joint_information": joint.to_json()}),
        **(
            {} if account.dimensions is None else {"bits_per_dimension": account.bits_per_dimension}
        ),
        **({} if account.gaps is None else {"gaps": account.gaps.to_json()}),
        "by_dimension": {name: values.tolist() for name, values in columns.items()},
        "left_out": dict(account.left_out),
        "influential": [influence.to_json() for influence in account.influential],
        "prior": account.prior,
        "encoder": account.encoder,
        "can_try_prior": account.can_try_prior,
        "ceilings": [ceiling.to_json() for ceiling in account.ceilings],
        "active_units": account.active_units,
        "latent_dim": account.latent_dim,
        "untrusted_share": account.untrusted_share,
        # The old name of untrusted_share, which is no k-hat: goes next version.
        "pareto_k": account.untrusted_share,
        "k_hat_max": account.k_hat_max,
        "pareto_k_threshold": pareto_k_threshold(account.evidence_estimate.num_samples),
        "num_samples": account.evidence_estimate.num_samples,
        **_prior_draws(account.evidence_estimate),
        "num_draws": account.num_draws,
        "aggregated_over": account.aggregated_over or account.n,
        "verdicts": list(account.verdicts),
        "fingerprint": account.fingerprint,
    }


def arrays(account: Account) -> dict[str, np.ndarray]:
    """The values per datum.

    arrays(acc)["elbo"]  # [N]
    """
    out = {name: line.per_datum for name, line in account.lines.items()}
    out |= {f"{name}.error": line.per_datum_error for name, line in account.lines.items()}
    out |= {} if account.gaps is None else account.gaps.arrays()
    return out | {
        "pareto_k": account.evidence_estimate.pareto_k,
        "effective_samples": account.evidence_estimate.effective_samples,
        "trusted": account.evidence_estimate.trusted,
        "shortfall": account.evidence_estimate.shortfalls,
        "methods": account.evidence_estimate.methods.astype(str),
        **_other_start_arrays(account.evidence_estimate),
    }


def _prior_draws(estimate: Evidence) -> dict[str, Any]:
    """What draws from the prior found beyond those from q(z|x), on how many data."""
    compared = estimate.other_start
    if compared is None:
        return {}
    found = {
        "n": len(compared.index),
        "difference": compared.difference,
        "standard_error": compared.standard_error,
        "missed_modes": compared.disagrees,
    }
    return {"prior_draws": found | {"unit": "nats per datum"}}


def _other_start_arrays(estimate: Evidence) -> dict[str, np.ndarray]:
    """Of the comparison with the prior's draws: which data, the differences and their errors."""
    compared = estimate.other_start
    if compared is None:
        return {}
    return {
        "prior_draws.index": compared.index,
        "prior_draws.difference": compared.differences,
        "prior_draws.difference_error": compared.standard_errors,
    }


def _estimate(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Evidence:
    """The estimate of log p(x); accounts of earlier versions hold k-hat and no more about trust."""
    optional: dict[str, Any] = {
        field: arrays[name]
        for field, name in (
            ("trusted", "trusted"),
            ("shortfalls", "shortfall"),
            ("methods", "methods"),
        )
        if name in arrays
    }
    compared = None
    if "prior_draws.index" in arrays:
        compared = OtherStart(
            "prior",
            *(arrays[f"prior_draws.{k}"] for k in ("index", "difference", "difference_error")),
        )
    return Evidence(
        arrays["evidence"],
        arrays["evidence.error"],
        arrays["effective_samples"],
        arrays["pareto_k"],
        values["num_samples"],
        "Importance",
        **optional,
        other_start=compared,
    )


def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Account:
    """The account that the two describe."""
    lines = {
        name: _line(name, values, arrays)
        for name in arrays
        if f"{name}.error" in arrays and not name.startswith("gaps.")
    }
    joint, columns = values.get("joint_information"), values.get("by_dimension", {})
    correlation, dimension_wise = (lines.get(name) for name in PARTS)
    return Account(
        split=values["split"],
        n=values["n"],
        **{name: lines[name] for name in LINES},  # pyright: ignore[reportArgumentType]
        levels={name: line for name, line in lines.items() if name.startswith("kl_z")},
        marginals=None
        if correlation is None
        else Marginals(correlation, dimension_wise, {k: np.array(v) for k, v in columns.items()}),
        left_out=values.get("left_out", {}),
        prior=values.get("prior", ""),
        encoder=values.get("encoder", ""),
        can_try_prior=values.get("can_try_prior", True),
        row_counts=RowCounts.from_json(values["row_multiplicities"])
        if "row_multiplicities" in values
        else None,
        joint_information=None if joint is None else JointInformation.from_json(joint),
        active_units=values["active_units"],
        latent_dim=values["latent_dim"],
        evidence_estimate=_estimate(values, arrays),
        num_draws=values["num_draws"],
        verdicts=tuple(values["verdicts"]),
        fingerprint=values["fingerprint"],
        aggregated_over=values.get("aggregated_over"),  # accounts of earlier versions do not say
        dimensions=values.get("bits_per_dimension", {}).get("dimensions"),
        gaps=Gaps.from_json(values["gaps"], arrays) if "gaps" in values else None,
    )


def _line(name: str, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Line:
    if name in ("evidence", "jensen_gap") and "bound" not in values[name]:
        # Accounts of earlier versions told an error whatever k-hat was.
        values = {**values, name: values[name] | {"bound": _estimate(values, arrays).bound}}
    return line_of_figures(values[name], arrays[name], arrays[f"{name}.error"])


def to_dataset(account: Account) -> "xarray.Dataset":
    """Every line over `datum`, with its Monte Carlo error per datum as NAME_error; the shares of the latent dimensions over `latent`.

    to_dataset(acc)["elbo"].attrs["standard_error"]
    """
    import xarray

    variables: dict[str, Any] = {}
    for name, line in account.lines.items():
        meaning = MEANING.get(name, f"KL of level {name.removeprefix('kl_')}")
        variables[name] = (
            "datum",
            line.per_datum,
            {"units": "nats", "long_name": meaning} | _attributes(line),
        )
        variables[f"{name}_error"] = (
            "datum",
            line.per_datum_error,
            {"units": "nats", "long_name": f"Monte Carlo standard error of {name}"},
        )
    for name, (values, attributes) in (
        {} if account.gaps is None else account.gaps.variables()
    ).items():
        variables[name] = ("datum", values, attributes)
    columns = {} if account.marginals is None else account.marginals.by_dimension
    for name in COLUMNS:
        if name in columns:
            attributes = {"units": "nats", "long_name": BY_DIMENSION[name]}
            variables[f"{name}_by_dimension"] = ("latent", columns[name], attributes)
            variables[f"{name}_by_dimension_error"] = (
                "latent",
                columns[f"{name}.error"],
                {"units": "nats"},
            )
    variables["pareto_k"] = (
        "datum",
        account.evidence_estimate.pareto_k,
        {"long_name": "k-hat of the importance weights"},
    )
    variables["effective_samples"] = (
        "datum",
        account.evidence_estimate.effective_samples,
        {"long_name": "effective sample size of the importance weights"},
    )
    attributes = {
        "split": account.split,
        "n": account.n,
        "log_n": account.log_n,
        "index_ceiling": account.index_ceiling,
        "distinct_rows": account.rows.distinct,
        "untrusted_share": account.untrusted_share,
        "fingerprint": account.fingerprint,
    }
    attributes |= {
        "active_units": account.active_units,
        "latent_dim": account.latent_dim,
        "aggregated_over": account.aggregated_over or account.n,
    }
    attributes |= {
        "verdicts": "\n".join(account.verdicts),
        "left_out": "\n".join(f"{k}: {v}" for k, v in account.left_out.items()),
    }
    return xarray.Dataset(variables, coords={"datum": np.arange(account.n)}, attrs=attributes)


def _attributes(line: Line) -> dict[str, Any]:
    """Value and errors; NaN for the standard error of a bound, and what it is a bound of."""
    own = {"value": line.value, "standard_error": line.error, "data_error": line.data_error}
    return own | ({"bound": line.bound} if line.bound else {})


def to_netcdf(account: Account, path: Path) -> None:
    """`to_dataset` as a netCDF file (version 3, which SciPy writes), whole or not at all."""
    buffer = io.BytesIO()
    to_dataset(account).to_netcdf(buffer, engine="scipy")
    write_atomically(path, buffer.getvalue())
