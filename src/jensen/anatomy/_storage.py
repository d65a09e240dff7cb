"""An account as plain values, as arrays per datum, and as an xarray Dataset."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen._files import write_atomically
from jensen.anatomy._lines import LINES, MEANING, PARTS, Line
from jensen.anatomy._record import Account
from jensen.anatomy.distinct_rows import RowCounts
from jensen.anatomy.gaps import Gaps
from jensen.anatomy.joint_information import JointInformation
from jensen.anatomy.marginals import COLUMNS, Marginals
from jensen.evidence import Evidence, pareto_k_threshold

if TYPE_CHECKING:
    import xarray

KEPT = ("value", "standard_error", "data_error")
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
            name: {k: getattr(line, k) for k in KEPT} | {"unit": "nats per datum"}
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
    }


def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Account:
    """The account that the two describe."""
    lines = {
        name: _line(name, values, arrays)
        for name in arrays
        if f"{name}.error" in arrays and not name.startswith("gaps.")
    }
    joint, columns = values.get("joint_information"), values.get("by_dimension", {})
    correlation, dimension_wise = (lines.get(name) for name in PARTS)
    estimate = Evidence(
        arrays["evidence"],
        arrays["evidence.error"],
        arrays["effective_samples"],
        arrays["pareto_k"],
        values["num_samples"],
        "Importance",
    )
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
        evidence_estimate=estimate,
        num_draws=values["num_draws"],
        verdicts=tuple(values["verdicts"]),
        fingerprint=values["fingerprint"],
        aggregated_over=values.get("aggregated_over"),  # accounts of earlier versions do not say
        dimensions=values.get("bits_per_dimension", {}).get("dimensions"),
        gaps=Gaps.from_json(values["gaps"], arrays) if "gaps" in values else None,
    )


def _line(name: str, values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Line:
    value = values[name]
    return Line(
        value["value"],
        value["standard_error"],
        value["data_error"],
        arrays[name],
        arrays[f"{name}.error"],
    )


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
            {"units": "nats", "long_name": meaning} | {k: getattr(line, k) for k in KEPT},
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


def to_netcdf(account: Account, path: Path) -> None:
    """`to_dataset` as a netCDF file (version 3, which SciPy writes), whole or not at all."""
    buffer = io.BytesIO()
    to_dataset(account).to_netcdf(buffer, engine="scipy")
    write_atomically(path, buffer.getvalue())
