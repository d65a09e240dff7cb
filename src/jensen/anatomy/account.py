"""The account: every nat of the evidence lower bound on its line, each with a standard error, the identities closing on the same draws.

    log p(x) - Jensen gap = ELBO = reconstruction - average KL             average KL = I(n; z) + marginal KL
                                 = - expected energy + entropy

In a model of several levels that is inferred from the top downwards the average KL is the sum of the KLs of its levels, and I(n; z) and the marginal KL split
that of the top level. Inferred from the data upwards (a Markov chain), they split the average KL of all levels together, exactly (see `surgery`).

Two standard errors are kept apart. `standard_error` is the Monte Carlo one: how far a re-run with other draws on the same data would fall. `data_error` is
that of a mean over the data as a sample: how far another split of the same size would fall.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy._lines import LINES, MEANING, Line, check_closure, level_names, line_from_data, line_from_draws
from jensen.anatomy.bits import bits_record, dimensions_in_bits
from jensen.anatomy.gaps import Gaps, check_gaps, inference_gaps
from jensen.anatomy.joint_information import JointInformation, joint_information
from jensen.anatomy.surgery import log_n, surgery
from jensen.anatomy.units import active_units
from jensen.anatomy.verdicts import verdicts
from jensen.evidence import Evidence, estimate_evidence, pareto_k_threshold
from jensen.evidence.importance import Importance
from jensen.interop import guarded
from jensen.model import Model

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Account:
    """The account of one model on one split; prints as a table.

    Attributes:
        split, n: which data, and how many.
        evidence ... entropy: the lines (see MEANING), nats per datum.
        active_units, latent_dim: how many latent dimensions carry anything, of how many; in a model of several levels of that which the
            datum decides by itself: the top, or z1 of a Markov chain.
        levels: the KL of each level, kl_z1 first; empty where I(n; z) and the marginal KL are those of all levels together.
        joint_information: I(n; z1, z2, ...) over a subset of the data; None where I(n; z) is that of all levels.
        evidence_estimate: the estimate behind the evidence line, with k-hat per datum.
        num_draws: posterior draws per datum behind the other lines.
        verdicts: what the numbers say, in plain words.
        fingerprint: of the data, so that two accounts can be compared datum by datum; empty when unknown.
        aggregated_over: how many data q(z) is the mixture of. All N as a rule; None means that too. With fewer (where all pairs of a draw and a datum would
            take too long), I(n; z) is that of so many random data, a lower value than that of all N in expectation, and the marginal KL is the rest.
        gaps: the Jensen gap split into approximation and amortisation, where that was asked for.
        dimensions: the numbers in one datum if its likelihood is customarily reported in bits per dimension, otherwise None.
    """

    split: str
    n: int
    evidence: Line
    jensen_gap: Line
    elbo: Line
    reconstruction: Line
    average_kl: Line
    index_information: Line
    marginal_kl: Line
    expected_energy: Line
    entropy: Line
    active_units: int
    latent_dim: int
    evidence_estimate: Evidence
    num_draws: int
    verdicts: tuple[str, ...] = ()
    fingerprint: str = ""
    levels: dict[str, Line] = field(default_factory=dict)
    joint_information: JointInformation | None = None
    dimensions: int | None = None
    aggregated_over: int | None = None
    gaps: Gaps | None = None

    @property
    def bits_per_dimension(self) -> dict[str, Any] | None:
        """Evidence and ELBO with their errors in bits per dimension (lower is better), or None where that is not the custom."""
        if self.dimensions is None:
            return None
        lines = {name: {k: getattr(self.line(name), k) for k in ("value", "standard_error", "data_error")} for name in ("evidence", "elbo")}
        return bits_record(lines, self.dimensions)

    @property
    def log_n(self) -> float:
        """log N: the most that I(n; z) can be; with q(z) over random subsets of M data, log M."""
        return log_n(self.aggregated_over or self.n)

    @property
    def ceiling(self) -> str:
        """The most that I(n; z) can be, in words: `log N = 6.91`."""
        over = self.aggregated_over or self.n
        return f"log N = {self.log_n:.2f}" if over == self.n else f"log {over} = {self.log_n:.2f}, q(z) being over random subsets of {over} of the data"

    @property
    def pareto_k(self) -> float:
        """The share of data whose evidence estimate is not to be trusted (k-hat above the threshold)."""
        return self.evidence_estimate.untrusted

    @property
    def lines(self) -> dict[str, Line]:
        """Every line by its name, in the order of LINES; those of the levels follow the average KL, whose parts they are."""
        out = {}
        for name in LINES:
            out[name] = getattr(self, name)
            if name == "average_kl":
                out |= self.levels
        return out

    def line(self, name: str) -> Line:
        """The line called `name`, those of the gaps included."""
        return (self.lines | ({} if self.gaps is None else self.gaps.lines))[name]

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `jensen account RUN --json` prints."""
        kept = ("value", "standard_error", "data_error")
        lines = {name: {k: getattr(line, k) for k in kept} | {"unit": "nats per datum"} for name, line in self.lines.items()}
        joint = self.joint_information
        if joint is not None:
            lines["joint_information"] = {"value": joint.value, "standard_error": joint.standard_error, "n": joint.n, "log_n": joint.log_n}
        return {
            "split": self.split,
            "n": self.n,
            "log_n": self.log_n,
            **lines,  # pyright: ignore[reportArgumentType]
            **({} if self.dimensions is None else {"bits_per_dimension": self.bits_per_dimension}),
            **({} if self.gaps is None else {"gaps": self.gaps.to_json()}),
            "active_units": self.active_units,
            "latent_dim": self.latent_dim,
            "pareto_k": self.pareto_k,
            "pareto_k_threshold": pareto_k_threshold(self.evidence_estimate.num_samples),
            "num_samples": self.evidence_estimate.num_samples,
            "num_draws": self.num_draws,
            "aggregated_over": self.aggregated_over or self.n,
            "verdicts": list(self.verdicts),
            "fingerprint": self.fingerprint,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The values per datum, as they are kept in a run folder."""
        out = {name: line.per_datum for name, line in self.lines.items()}
        out |= {f"{name}.error": line.per_datum_error for name, line in self.lines.items()}
        out |= {} if self.gaps is None else self.gaps.arrays()
        return out | {"pareto_k": self.evidence_estimate.pareto_k, "effective_samples": self.evidence_estimate.effective_samples}

    @staticmethod
    def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Account":
        """The account that `to_json` and `arrays` describe."""
        lines = {
            name: Line(values[name]["value"], values[name]["standard_error"], values[name]["data_error"], arrays[name], arrays[f"{name}.error"])
            for name in arrays
            if f"{name}.error" in arrays and not name.startswith("gaps.")
        }
        joint = values.get("joint_information")
        estimate = Evidence(arrays["evidence"], arrays["evidence.error"], arrays["effective_samples"], arrays["pareto_k"], values["num_samples"], "Importance")
        return Account(
            split=values["split"],
            n=values["n"],
            **{name: lines[name] for name in LINES},  # pyright: ignore[reportArgumentType]
            levels={name: line for name, line in lines.items() if name not in LINES},
            joint_information=None if joint is None else JointInformation(joint["value"], joint["standard_error"], joint["n"]),
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

    def to_dataset(self) -> "xarray.Dataset":
        """An xarray Dataset: one variable per line over the dimension `datum`, with value and standard errors as attributes.

        acc.to_dataset()["elbo"].mean()  # the ELBO
        """
        import xarray

        variables = {}
        for name, line in self.lines.items():
            meaning = MEANING.get(name, f"KL of level {name.removeprefix('kl_')}")
            attributes = {"units": "nats", "long_name": meaning, "value": line.value, "standard_error": line.standard_error}
            variables[name] = ("datum", line.per_datum, attributes | {"data_error": line.data_error})
        for name, (values, attributes) in ({} if self.gaps is None else self.gaps.variables()).items():
            variables[name] = ("datum", values, attributes)
        variables["pareto_k"] = ("datum", self.evidence_estimate.pareto_k)
        variables["effective_samples"] = ("datum", self.evidence_estimate.effective_samples)
        attributes = {"split": self.split, "n": self.n, "log_n": self.log_n, "active_units": self.active_units, "verdicts": "\n".join(self.verdicts)}
        return xarray.Dataset(variables, coords={"datum": np.arange(self.n)}, attrs=attributes)

    def __str__(self) -> str:
        from jensen.anatomy.table import table

        return table(self)


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
    on_progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Account:
    """The account of a model on data, at beta = 1.

    Args:
        model: prior, encoder, decoder.
        data: [N, *event]; q(z) is the exact mixture over these N.
        key: a JAX random key.
        split: what the data are called.
        num_samples: importance samples per datum for the evidence.
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
    key_surgery, key_evidence = jr.split(key)
    key_joint, key_gaps = jr.fold_in(key, 2), jr.fold_in(key, 3)
    if gaps is not None:  # refused before anything takes long
        check_gaps(model, data, gaps, gap_family)
    report = lambda *a: on_progress("aggregated posterior", *a)  # noqa: E731
    cut = surgery(model, data, key_surgery, num_draws=num_draws, aggregated_over=aggregated_over, on_progress=report)
    estimate = estimate_evidence(Importance(num_samples=num_samples), model, data, key_evidence, on_progress=lambda *a: on_progress("evidence", *a))
    log_joint = cut.log_likelihood + cut.log_prior
    kls = cut.level_log_posteriors - cut.level_log_priors
    names = level_names(len(kls)) if len(cut.indexed) < len(kls) else ()
    levels = {name: line_from_draws(kl) for name, kl in zip(names, kls, strict=False)}
    lines = {
        "elbo": line_from_draws(log_joint - cut.log_posterior),
        "reconstruction": line_from_draws(cut.log_likelihood),
        "average_kl": line_from_draws(cut.log_posterior - cut.log_prior),
        "index_information": line_from_draws(cut.index_information),
        "marginal_kl": line_from_draws(cut.marginal_kl),
        "expected_energy": line_from_draws(-log_joint),
        "entropy": line_from_draws(-cut.log_posterior),
    }
    check_closure({name: line.value for name, line in (lines | levels).items()})
    lines["evidence"] = line_from_data(estimate.values, estimate.standard_errors)
    # Evidence and ELBO are estimated from different draws, so their Monte Carlo errors are independent.
    lines["jensen_gap"] = line_from_data(estimate.values - lines["elbo"].per_datum, np.hypot(estimate.standard_errors, lines["elbo"].per_datum_error))
    parts = None
    if gaps is not None:
        measured: dict[str, Any] = {"evidence": lines["evidence"], "elbo": lines["elbo"], "rows": gaps, "family": gap_family}
        parts = inference_gaps(model, data, key_gaps, **measured, on_progress=lambda *a: on_progress("gaps", *a))
    prior, encoder = ("" if model.recipe is None else model.recipe.values[part]["name"] for part in ("prior", "encoder"))
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
        joint_information=joint_information(model, data, key_joint) if levels and len(data) > 1 else None,
        dimensions=dimensions_in_bits(model),
        aggregated_over=cut.aggregated_over,
        gaps=parts,
    )
    return replace(found, verdicts=(*remarks, *verdicts(found, prior, encoder)))


def _check_data(model: Model, data: np.ndarray) -> None:
    from jensen.likelihoods import check_support

    if model.recipe is None:
        return
    expected = tuple(model.recipe.values["event_shape"])
    if data.shape[1:] != expected:
        raise ValueError(f"the model describes data of shape {expected}; got rows of shape {data.shape[1:]}.")
    check_support(model.recipe.values["likelihood"], data)
