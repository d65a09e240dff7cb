"""Writes the page of a run: checks its account, evaluates the model, draws and renders."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np

import jensen.reports._code_by_epoch as code_by_epoch
import jensen.reports._curves as curves
import jensen.reports._waterfall as waterfall
from jensen._files import write_atomically
from jensen.anatomy import Account
from jensen.anatomy.in_training import remarks_of
from jensen.anatomy.text_table import data_notes, level_notes
from jensen.anatomy.units import ACTIVE_VARIANCE
from jensen.distributions import CONTINUOUS, code_kind
from jensen.generation import prior_samples
from jensen.model import Model
from jensen.reports import ReportInputs
from jensen.reports._histograms import draw_dimensions, draw_evidence, draw_pareto_k
from jensen.reports._html import configuration_groups, render
from jensen.reports._mosaic import is_image, thumbnail, value_range_of
from jensen.reports._pictures import Pictures
from jensen.reports._probes import QUANTILES, encode, reconstruct, traverse
from jensen.reports._rows import (
    Datum,
    account_rows,
    median_datum,
    tail_shape,
    values_text,
    worst_data,
)
from jensen.reports._style import Drawing, line_art, picture, styled
from jensen.reports._vectors import Vectors
from jensen.trial import label


def write(inputs: ReportInputs, folder: Path) -> Path:
    """See `jensen.reports.write_report`."""
    account, data = main_account(inputs)
    with styled():
        context = page_context(inputs, account, data)
    for drawing in context["figures"].values():
        for name, content in drawing.files.items():
            write_atomically(folder / "figures" / name, content)
    page = folder / "report.html"
    write_atomically(page, render(context))
    return page


def main_account(inputs: ReportInputs) -> tuple[Account, np.ndarray]:
    """The first account and the rows it is about.

    Raises:
        ValueError: there is none, or the data set's split has other rows.
    """
    if not inputs.accounts:
        raise ValueError(
            "a report needs at least one account; "
            "make one with jensen.account(model, data.test, key=key)."
        )
    account = next(iter(inputs.accounts.values()))
    data = inputs.dataset.split(account.split)
    if len(data) != account.n or (
        account.fingerprint and account.fingerprint != inputs.dataset.fingerprint(account.split)
    ):
        raise ValueError(
            f"the account of the {account.split} split is about other data ({account.n} rows) than "
            f"{inputs.dataset.name} holds ({len(data)} rows there): "
            "make the account again, or load the data set as it was."
        )
    return account, data


def page_context(inputs: ReportInputs, account: Account, data: np.ndarray) -> dict[str, Any]:
    """All that the template needs: figures by name, and facts."""
    codes = encode(inputs.model, data)
    variance = codes.var(axis=0)
    worst, tail, start = worst_data(account), tail_shape(account), median_datum(account)
    pictures = (
        Pictures(value_range_of(data), ink=is_binary(data))
        if is_image(inputs.dataset.event_shape)
        else None
    )
    figures = model_figures(inputs, data, codes, pictures, start) | number_figures(
        inputs, account, variance, worst, tail
    )
    return {
        "inputs": inputs,
        "account": account,
        "names": part_names(inputs),
        "others": list(inputs.accounts)[1:],
        "same_size": all(a.n == account.n for a in inputs.accounts.values()),
        "trials": [(label(trial.prior), trial) for trial in inputs.trials],
        "rows": account_rows(inputs.accounts),
        "data_notes": data_notes(account),
        "level_notes": level_notes(account),
        "figures": figures,
        "history_epochs": len(inputs.history),
        "carried": code_by_epoch.label_of(inputs.history),
        "carried_remarks": remarks_of(inputs.history),
        "warm_up": curves.warm_up_epochs(inputs.history) if inputs.history else 0,
        "best_epoch": curves.best_epoch(inputs.history) if inputs.history else 0,
        "is_image": pictures is not None,
        "discrete": has_discrete_codes(inputs.model, data),
        "autoregressive": inputs.model.decoder.autoregressive,
        "ink": pictures is not None and pictures.ink,
        "quantiles": QUANTILES,
        "start": start,
        "worst": [_datum(account, data, int(i), pictures) for i in worst],
        "tail": tail,
        "active_variance": ACTIVE_VARIANCE,
        "active": int(np.sum(variance > ACTIVE_VARIANCE)),
        "dimensions": len(variance),
        "config": configuration_groups(inputs.config),
        "split_sizes": [
            (split, len(getattr(inputs.dataset, split)))
            for split in ("train", "validation", "test")
        ],
    }


def model_figures(
    inputs: ReportInputs, data: np.ndarray, codes: np.ndarray, pictures: Pictures | None, start: int
) -> dict[str, Drawing]:
    """What the model makes of data and of its prior."""
    artist = pictures or Vectors(data)
    show = picture if pictures else line_art
    chosen = np.unique(
        np.linspace(0, len(data) - 1, min(artist.reconstruction_count, len(data)))
        .round()
        .astype(int)
    )
    shown, reconstructed = data[chosen], reconstruct(inputs.model, data[chosen])
    samples = prior_samples(inputs.model, artist.sample_count, key=jr.key(inputs.seed))["mean"]
    means = (
        "Means, given the pixels drawn before each,"
        if inputs.model.decoder.autoregressive
        else "Means"
    )
    drawn = {
        "reconstructions": (
            f"{len(chosen)} data beside their reconstructions.",
            lambda at: artist.reconstructions(shown, reconstructed, at),
        ),
        "samples": (
            f"{means} of p(x|z) for {len(samples)} codes drawn from the prior.",
            lambda at: artist.samples(samples, at),
        ),
    }
    if not has_discrete_codes(inputs.model, data):
        walk = traverse(inputs.model, codes, start)
        named = ", ".join(f"z{i}" for i in walk.dimensions)
        alt = (
            f"{means} of p(x|z) as one latent coordinate moves from low to high, for {named}; "
            f"start: datum {start}."
        )
        drawn["traversals"] = (alt, lambda at: artist.traversals(walk, at))
    return {name: show(name, alt, draw) for name, (alt, draw) in drawn.items()}


def number_figures(
    inputs: ReportInputs, account: Account, variance: np.ndarray, worst: np.ndarray, tail
) -> dict[str, Drawing]:
    """Waterfall, curves and histograms; one that would have nothing to show is left out."""
    figures = {}
    values = account.evidence.per_datum
    if waterfall.drawable(account):
        figures["waterfall"] = line_art(
            "waterfall",
            waterfall.describe(account),
            lambda at: waterfall.draw_waterfall(account, at),
        )
    if inputs.history:
        figures["curves"] = line_art(
            "curves",
            curves.describe(inputs.history),
            lambda at: curves.draw_curves(inputs.history, at),
        )
    if code_by_epoch.label_of(inputs.history):
        figures["carried"] = line_art(
            "carried",
            code_by_epoch.describe(inputs.history),
            lambda at: code_by_epoch.draw_code_by_epoch(inputs.history, at),
        )
    if np.isfinite(values).any():
        alt = (
            f"Histogram of log p(x) of {account.n} data, mean {account.evidence.value:.2f}, "
            f"lowest {values.min():.2f}, highest {values.max():.2f} nats."
        )
        figures["evidence"] = line_art("evidence", alt, lambda at: draw_evidence(values, worst, at))
    if tail.finite.size:
        alt = (
            f"Histogram of k-hat of {tail.finite.size} data with the threshold at "
            f"{tail.threshold:.2f}; {tail.share:.1%} of all data are above it."
        )
        figures["pareto_k"] = line_art(
            "pareto_k", alt, lambda at: draw_pareto_k(tail.finite, tail.threshold, at)
        )
    active = int(np.sum(variance > ACTIVE_VARIANCE))
    alt = (
        f"Variance of the posterior means of {len(variance)} latent dimensions; "
        f"{active} are above {ACTIVE_VARIANCE}."
    )
    figures["dimensions"] = line_art("dimensions", alt, lambda at: draw_dimensions(variance, at))
    return figures


def part_names(inputs: ReportInputs) -> dict[str, str]:
    """What likelihood and prior are called: as `vae` was told, or the classes' names."""
    recipe = inputs.model.recipe
    if recipe is not None:
        return {noun: str(recipe.values[noun]["name"]) for noun in ("likelihood", "prior")}
    likelihood = getattr(inputs.model.decoder, "likelihood", None)
    return {
        "likelihood": type(likelihood).__name__ if likelihood is not None else "custom",
        "prior": type(inputs.model.prior).__name__,
    }


def has_discrete_codes(model: Model, data: np.ndarray) -> bool:
    """Whether there is no way from one code to another through codes."""
    return code_kind(model.encoder(jnp.asarray(data[0]))) != CONTINUOUS


def is_binary(data: np.ndarray) -> bool:
    """Whether all values are 0 or 1."""
    return bool(np.isin(data, (0, 1)).all())


def _datum(account: Account, data: np.ndarray, index: int, pictures: Pictures | None) -> Datum:
    image = thumbnail(pictures.colours(data[index : index + 1])) if pictures else None
    evidence, elbo = float(account.evidence.per_datum[index]), float(account.elbo.per_datum[index])
    return Datum(
        index,
        evidence,
        elbo,
        float(account.evidence_estimate.pareto_k[index]),
        image,
        values_text(data[index]),
    )
