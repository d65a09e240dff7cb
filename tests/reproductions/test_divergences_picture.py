"""The picture of divergences shows the contours of what the rows hold."""

import math

import numpy as np
import pytest

from jensen.reports._style import NARROW, WIDE, styled
from jensen.reproductions.divergences.picture import (
    draw_divergences,
    ellipse,
    levels_of,
    targets_figure,
    two_normals_figure,
)

X = np.linspace(-5, 5, 201)
PLANE = {
    "title": "round",
    "axes": ("a", "b"),
    "x": X,
    "y": X,
    "density": np.exp(-0.5 * (X[:, None] ** 2 + X**2)),
}
LABELS = {"elbo": "ELBO: KL(q || p)", "cubo": "CUBO"}


def row(target, family, divergence, *, converged=True, sd=1.0):
    covariance = [[sd**2, 0.0], [0.0, 4 * sd**2]]
    common = {
        "target": target,
        "family": family,
        "divergence": divergence,
        "converged": converged,
        "mean": [0.5, -1.0],
        "covariance": covariance,
    }
    return common | {
        "sd_ratios": [sd, 2 * sd],
        **({"best_variance": sd} if target == "two_normals" else {}),
    }


def test_contours_are_where_a_normal_has_them():
    covariance = np.array([[2.0, 0.7], [0.7, 1.0]])
    for radius in (1.0, 2.0):
        away = ellipse([1.0, -2.0], covariance.tolist(), radius) - np.array([[1.0], [-2.0]])
        np.testing.assert_allclose(
            np.sum(away * np.linalg.solve(covariance, away), axis=0), radius**2, rtol=1e-9
        )
    np.testing.assert_allclose(
        levels_of(PLANE["density"]), [math.exp(-2), math.exp(-0.5)], rtol=0.02
    )


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_panels_stand_in_their_order_and_lines_tell_family_and_convergence(layout):
    rows = [
        row("two_normals", "mean_field", "cubo", sd=2.0),
        row("two_normals", "mean_field", "elbo", sd=0.5),
    ]
    with styled():
        two = two_normals_figure(rows, PLANE, LABELS, layout)
        rows = [
            row("t", "mean_field", "elbo"),
            row("t", "full_rank", "elbo", converged=False),
            row("s", "full_rank", "cubo"),
        ]
        several = targets_figure(rows, {"t": PLANE, "s": PLANE}, LABELS, layout)
    assert [axes.get_title(loc="left").splitlines()[0] for axes in two.axes] == [
        "ELBO: KL(q || p)",
        "CUBO",
    ]
    assert [float(np.ptp(axes.get_lines()[0].get_xdata())) for axes in two.axes] == pytest.approx(
        [1.0, 4.0], rel=1e-3
    )
    counts = [len(axes.get_lines()) for axes in several.axes]
    assert len(counts) == 4 and sorted(counts) == [0, 0, 2, 4] and counts[0] == 4
    solid, _, dotted, _ = several.axes[0].get_lines()
    assert (
        solid.get_linestyle() == "-"
        and dotted.get_linestyle() != "-"
        and solid.get_color() != dotted.get_color()
    )
    assert "not converged" in [text.get_text() for text in several.legends[0].get_texts()]


def test_it_wants_a_fit():
    with pytest.raises(ValueError, match="at least one fit; got none"):
        draw_divergences([], {}, {}, {})
