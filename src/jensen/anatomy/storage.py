"""An account as plain values, as arrays per datum, and as an xarray Dataset."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from jensen._files import write_atomically
from jensen.anatomy.distinct_rows import RowCounts
from jensen.anatomy.gaps import Gaps
from jensen.anatomy.influence import influences
from jensen.anatomy.level_information import JointInformation
from jensen.anatomy.line_table import entries, field_names, is_level, spec
from jensen.anatomy.lines import Line, line_of_figures
from jensen.anatomy.marginal_split import Marginals
from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import remedy_ceilings
from jensen.evidence import Evidence, OtherStart, pareto_k_threshold

if TYPE_CHECKING:
    import xarray

AnyAccount = TypeVar("AnyAccount", bound=AccountRecord)
STORED_ROWS = "rows."  # before the names of the columns that name the data, in the arrays


def account_to_json(account: AccountRecord) -> dict[str, Any]:
    """Compute the plain values of an account.

    account_to_json(acc)["elbo"]["value"]
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
        "influential": [
            influence.to_json() | {"rows": account.datum_names(influence.data)}
            for influence in influences(account)
        ],
        "prior": account.prior,
        "encoder": account.encoder,
        "can_try_prior": account.can_try_prior,
        "ceilings": [ceiling.to_json() for ceiling in remedy_ceilings(account)],
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


def account_arrays(account: AccountRecord) -> dict[str, np.ndarray]:
    """Collect the values per datum, under the names that a run folder stores them by.

    account_arrays(acc)["elbo"]  # [N]
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
        **{
            f"{STORED_ROWS}{name}": np.asarray(column)
            for name, column in account.row_columns.items()
        },
    }


def _prior_draws(estimate: Evidence) -> dict[str, Any]:
    """The difference between draws from the prior and from q(z|x), and on how many data."""
    compared = estimate.other_start
    if compared is None:
        return {}
    figures = {
        "n": len(compared.index),
        "difference": compared.difference,
        "standard_error": compared.standard_error,
        "missed_modes": compared.disagrees,
    }
    return {"prior_draws": figures | {"unit": "nats per datum"}}


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


def account_from_json(
    cls: type[AnyAccount], values: dict[str, Any], arrays: dict[str, np.ndarray]
) -> AnyAccount:
    """Make the account that plain values and arrays describe; those of earlier versions lack some.

    account_from_json(Account, account_to_json(acc), account_arrays(acc))
    """
    lines = {
        name: _line(name, values, arrays)
        for name in arrays
        if f"{name}.error" in arrays and not name.startswith("gaps.")
    }
    joint, columns = values.get("joint_information"), values.get("by_dimension", {})
    levels = {name: line for name, line in lines.items() if is_level(name)}
    total_correlation = lines.get("total_correlation")
    marginals = None
    if total_correlation is not None:
        by_dimension = {name: np.array(column) for name, column in columns.items()}
        marginals = Marginals(total_correlation, lines.get("dimension_wise_kl"), by_dimension)
    own = {*field_names(), *levels, *({} if marginals is None else marginals.lines)}
    return cls(
        split=values["split"],
        n=values["n"],
        **{name: lines[name] for name in field_names()},  # pyright: ignore[reportArgumentType]
        levels=levels,
        marginals=marginals,
        further_lines={name: line for name, line in lines.items() if name not in own},
        row_columns={
            name.removeprefix(STORED_ROWS): column
            for name, column in arrays.items()
            if name.startswith(STORED_ROWS)
        },
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
        aggregated_over=values.get("aggregated_over"),
        dimensions=values.get("bits_per_dimension", {}).get("dimensions"),
        gaps=Gaps.from_json(values["gaps"], arrays) if "gaps" in values else None,
    )


def _line(name: str, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Line:
    if name in ("evidence", "jensen_gap") and "bound" not in values[name]:
        # Accounts of earlier versions told an error whatever k-hat was.
        values = {**values, name: values[name] | {"bound": _estimate(values, arrays).bound}}
    return line_of_figures(values[name], arrays[name], arrays[f"{name}.error"])


def account_to_dataset(account: AccountRecord) -> "xarray.Dataset":
    """Make an xarray Dataset of every line over `datum`, in nats.

    NAME_error is the Monte Carlo error per datum; the shares of the latent dimensions lie over
    `latent`.

    account_to_dataset(acc)["elbo"].attrs["standard_error"]
    """
    import xarray

    variables: dict[str, Any] = {}
    for name, line in account.lines.items():
        attributes = {"units": "nats", "long_name": spec(name).formula or spec(name).label}
        variables[name] = ("datum", line.per_datum, attributes | _attributes(line))
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
    for entry in entries():
        name = entry.name
        if entry.by_dimension and name in columns:
            attributes = {"units": "nats", "long_name": entry.by_dimension}
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
        "active_units": account.active_units,
        "latent_dim": account.latent_dim,
        "aggregated_over": account.aggregated_over or account.n,
        "verdicts": "\n".join(account.verdicts),
        "left_out": "\n".join(f"{name}: {why}" for name, why in account.left_out.items()),
    }
    return xarray.Dataset(variables, coords={"datum": np.arange(account.n)}, attrs=attributes)


def _attributes(line: Line) -> dict[str, Any]:
    """Value and errors; NaN for the standard error of a bound, and what it is a bound of."""
    own = {"value": line.value, "standard_error": line.error, "data_error": line.data_error}
    return own | ({"bound": line.bound} if line.bound else {})


def account_to_netcdf(account: AccountRecord, path: Path) -> None:
    """Write the Dataset as a netCDF file (version 3, which SciPy writes), whole or not at all.

    account_to_netcdf(acc, Path("account.nc"))
    """
    buffer = io.BytesIO()
    account_to_dataset(account).to_netcdf(buffer, engine="scipy")
    write_atomically(path, buffer.getvalue())
