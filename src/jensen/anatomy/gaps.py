"""The Jensen gap in its two parts (Cremer, Li & Duvenaud 2018, section 3).

    log p(x) - ELBO(q)  =  [log p(x) - ELBO(q*)]  +  [ELBO(q*) - ELBO(q)]
        Jensen gap            approximation gap       amortisation gap

q* is the best posterior of a family for this datum alone (`evidence.refine`), q the encoder's. The
first part wants a richer family, the second a better encoder.

Which family: 'own' is the encoder's. For a diagonal normal that is all diagonal normals, as in the
paper; for full normals all full normals. A Student's t is moved and scaled elementwise and keeps
its degrees of freedom; a flow gets more layers; a posterior of several levels is moved and scaled
as a whole, over its conditionals. Another family ('diagonal', 'full', 'flow') says what those maps
of q could reach: the approximation gap is then theirs.

The amortisation gap is the mean over draws of q of log p(x, T(z)) + log |det T| - log p(x, z), a
paired difference; ELBO(q*) is the ELBO plus that, so that the two parts sum to the Jensen gap
exactly. q* is found by noisy steps and chosen on other draws than these: the amortisation gap is
too low in expectation rather than too high, and what it lacks is in the approximation gap.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from jensen._types import Array, Distribution, Key
from jensen.anatomy.line_table import SUBSET_GAP, spec
from jensen.anatomy.lines import (
    AT_LEAST,
    Line,
    line_from_data,
    line_from_draws,
    line_of_figures,
)
from jensen.evidence import family_of, refinement
from jensen.interop import guarded
from jensen.model import Model
from jensen.progress import OnProgress, silent
from jensen.weights import over_samples, pairs_at_a_time, weigh

PAIRS = {"cpu": 1024}
PAIRS_ELSEWHERE = 65536
GAP_LINES = ("refined_elbo", "approximation_gap", "amortisation_gap", "jensen_gap")
REFINED_ELBO = "ELBO of the best posterior of the family for each datum"


@dataclass(frozen=True)
class Gaps:
    """The two parts of the Jensen gap on some or all of the data, nats per datum.

    Attributes:
        family: of the best posteriors: 'diagonal', 'full' or 'flow'.
        own: whether that is the encoder's own family.
        index: [n], which of the data, ascending.
        of: how many data there are.
        refined_elbo, approximation_gap, amortisation_gap, jensen_gap: the lines over these n data.
        non_finite: at how many of them the search met values that are not finite; they keep the
            best posterior before that, which may be the encoder's.
    """

    family: str
    own: bool
    index: np.ndarray
    of: int
    refined_elbo: Line
    approximation_gap: Line
    amortisation_gap: Line
    jensen_gap: Line
    non_finite: int

    @property
    def n(self) -> int:
        """How many data."""
        return len(self.index)

    @property
    def complete(self) -> bool:
        """Whether these are all the data."""
        return self.n == self.of

    @property
    def lines(self) -> dict[str, Line]:
        """The two parts, by name, and the whole that they sum to where that is of a subset."""
        return ({} if self.complete else {SUBSET_GAP: self.jensen_gap}) | {
            "approximation_gap": self.approximation_gap,
            "amortisation_gap": self.amortisation_gap,
        }

    @property
    def where(self) -> str:
        """The family, and the subset if it is one, in words.

        gaps.where  # 'diagonal family, on a random 100 of the 360 data, where the Jensen gap is .6'
        """
        if self.complete:
            return f"{self.family} family"
        gap = f"{AT_LEAST[self.jensen_gap.bound]}{self.jensen_gap.value:.3f}"
        subset = f"a random {self.n} of the {self.of} data"
        return f"{self.family} family, on {subset}, where the Jensen gap is {gap}"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        lines = {name: getattr(self, name) for name in GAP_LINES}
        figures = {n: v.figures() | {"unit": "nats per datum"} for n, v in lines.items()}
        return {
            "family": self.family,
            "own": self.own,
            "n": self.n,
            "of": self.of,
            "non_finite": self.non_finite,
            **figures,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """The values per datum."""
        lines = {name: getattr(self, name) for name in GAP_LINES}
        values = {f"gaps.{n}": v.per_datum for n, v in lines.items()} | {
            f"gaps.{n}.error": v.per_datum_error for n, v in lines.items()
        }
        return {"gaps.index": self.index, **values}

    @staticmethod
    def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Gaps":
        """The record that `to_json` and `arrays` describe."""

        def line(name: str) -> Line:
            return line_of_figures(
                values[name], arrays[f"gaps.{name}"], arrays[f"gaps.{name}.error"]
            )

        whole = {k: values[k] for k in ("family", "own", "of", "non_finite")}
        lines = {name: line(name) for name in GAP_LINES}
        options: dict[str, Any] = whole | lines
        return Gaps(index=arrays["gaps.index"], **options)

    def variables(self) -> dict[str, tuple[np.ndarray, dict[str, Any]]]:
        """What an xarray Dataset over all data holds: name -> (values [of], attributes).

        Values are NaN for data that are not among these.
        """
        out = {}
        parts = ("approximation_gap", "amortisation_gap")
        meanings = {"refined_elbo": REFINED_ELBO} | {part: spec(part).formula for part in parts}
        for name, meaning in meanings.items():
            line, values = getattr(self, name), np.full(self.of, np.nan)
            values[self.index] = line.per_datum
            errors = {"standard_error": line.error, "data_error": line.data_error}
            errors |= {"bound": line.bound} if line.bound else {}
            out[name] = (
                values,
                {
                    "units": "nats",
                    "long_name": meaning,
                    "value": line.value,
                    **errors,
                    "family": self.family,
                    "n": self.n,
                },
            )
        return out


@guarded
def inference_gaps(
    model: Model,
    data: np.ndarray,
    *,
    key: Key,
    evidence: Line,
    elbo: Line,
    rows: int | None = None,
    family: str = "own",
    num_draws: int = 256,
    chunk: int | None = None,
    on_progress: OnProgress = silent,
    **options: Any,
) -> Gaps:
    """Split a model's Jensen gap into the approximation gap and the amortisation gap.

    Args:
        model: its codes must be continuous.
        data: [N, *event].
        key: with it and a datum's index everything random is determined, the choice of the rows
            too.
        evidence, elbo: log p(x) and the ELBO of these N data, per datum: lines of an account.
        rows: on so many data, chosen at random; all of them by default, and where there are no
            more.
        family: 'own', 'diagonal', 'full' or 'flow'; see above.
        num_draws: fresh draws per datum for the difference of the two ELBOs.
        chunk: data refined at a time; bounds the memory, not the result.
        on_progress: called with what is being done, the number of data done, and the total.
        options: of `evidence.refinement`.

    Raises:
        ValueError: rows or num_draws too small, an unknown family, discrete codes, or evidence and
            ELBO of other data.
        ArithmeticError: the parts do not sum to the whole.

        gaps = inference_gaps(
            model, x, key=key, evidence=acc.evidence, elbo=acc.elbo, rows=500
        )
        gaps.amortisation_gap.value
    """
    chosen = check_gaps(model, data, rows, family)
    for name, value, least in [("num_draws", num_draws, 2), ("chunk", chunk, 1)]:
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}.")
    if not len(data) == len(evidence.per_datum) == len(elbo.per_datum):
        raise ValueError(
            f"evidence and ELBO are of {len(evidence.per_datum)} and {len(elbo.per_datum)} data; "
            f"the data are {len(data)}. Take those of one account."
        )
    key_choice, key_data = jr.split(key)
    n = min(rows or len(data), len(data))
    index = np.sort(np.asarray(jr.permutation(key_choice, len(data)))[:n])
    pairs = pairs_at_a_time(model, data[0], PAIRS.get(jax.default_backend(), PAIRS_ELSEWHERE))
    most = min(chunk or max(1, pairs // options.get("num_samples", 16)), n)
    chunk = -(-n // -(-n // most))  # chunks of one size, with the least to pad
    options |= {"family": chosen, "block": max(1, pairs // chunk)}
    prior = model.prior(model.encoder)
    columns = []
    for start in range(0, n, chunk):
        part = index[np.minimum(np.arange(start, start + chunk), n - 1)]
        gains = _gains(
            model, prior, jnp.asarray(data[part]), jnp.asarray(part), key_data, num_draws, options
        )
        columns.append([np.asarray(a)[: n - start] for a in gains])
        on_progress("gaps", min(start + chunk, n), n)
    gains, non_finite = (np.concatenate(column) for column in zip(*columns, strict=True))
    return _gaps(
        chosen,
        chosen == family_of(model, "own", data[0]),
        index,
        evidence,
        elbo,
        np.asarray(gains, np.float64),
        non_finite > 0,
    )


def check_gaps(model: Model, data: np.ndarray, rows: int | None, family: str) -> str:
    """Check that a Jensen gap can be split, and return the family of the best posteriors.

    Raises:
        ValueError: no data, rows below 1, an unknown family, or discrete codes.

        check_gaps(model, data.test, 500, "own")  # 'diagonal'
    """
    if len(data) == 0:
        raise ValueError("no data: an empty split has no gaps.")
    if rows is not None and rows < 1:
        raise ValueError(f"gaps: how many data to take must be at least 1; got {rows}.")
    return family_of(model, family, data[0])


def _gaps(
    family: str,
    own: bool,
    index: np.ndarray,
    evidence: Line,
    elbo: Line,
    gains: np.ndarray,
    non_finite: np.ndarray,
) -> Gaps:
    """The record, from the gains [n, draws] and whether the search met non-finite values, [n]."""
    lost = np.logical_not(np.isfinite(gains).all(axis=1))
    # Where the best posterior gives no finite gain, the encoder's own is the best: a gain of 0.
    gains = np.where(lost[:, None], 0.0, gains)
    log_p, bound = (
        line_from_data(line.per_datum[index], line.per_datum_error[index], bound=line.bound)
        for line in (evidence, elbo)
    )
    amortisation = line_from_draws(gains)
    refined_errors = np.hypot(bound.per_datum_error, amortisation.per_datum_error)
    refined = line_from_data(bound.per_datum + amortisation.per_datum, refined_errors)
    # What rests on log p(x) is a bound where that is.
    approximation = line_from_data(
        log_p.per_datum - refined.per_datum,
        np.hypot(log_p.per_datum_error, refined_errors),
        bound=evidence.bound,
    )
    whole = line_from_data(
        log_p.per_datum - bound.per_datum,
        np.hypot(log_p.per_datum_error, bound.per_datum_error),
        bound=evidence.bound,
    )
    missing = whole.value - (approximation.value + amortisation.value)
    if not abs(missing) <= 1e-9 * max(1.0, abs(log_p.value), abs(bound.value)):
        raise ArithmeticError(
            "the gaps do not close: approximation + amortisation is off the Jensen gap by "
            f"{missing:.3g} nats. Please report this."
        )
    return Gaps(
        family,
        own,
        index,
        len(elbo.per_datum),
        refined,
        approximation,
        amortisation,
        whole,
        int(np.sum(lost | non_finite)),
    )


@eqx.filter_jit
def _gains(
    model: Model,
    prior: Distribution,
    x: Array,
    index: Array,
    key: Key,
    draws: int,
    options: dict[str, Any],
) -> tuple[Array, Array]:
    """log p(x, T(z)) + log |det T| - log p(x, z) of fresh draws z ~ q(z|x), [data, draws].

    Beside them, how often the search met a value that is not finite, [data].
    """

    def one(x, n):
        key_search, key_draws = jr.split(jr.fold_in(key, n))
        refined = refinement(model, prior, x, key_search, **options)
        q = refined.posterior

        def gain(sample):
            z = q.base.sample(jr.fold_in(key_draws, sample))
            moved, log_det = q.transform(z)
            new, old = weigh(model, prior, x, moved), weigh(model, prior, x, z)
            likelihoods = new.log_likelihood - old.log_likelihood
            return likelihoods + (new.log_prior - old.log_prior) + log_det

        return over_samples(gain, draws, options["block"]), refined.non_finite

    return jax.vmap(one)(x, index)
