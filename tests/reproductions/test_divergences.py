"""`jensen reproduce divergences`.

Its exact minimisers against brute force, its targets against quadrature, fits against closed forms,
and the command.
"""

import json
import math

import numpy as np
import pytest
from scipy.optimize import minimize

from jensen import cli
from jensen.reproductions.divergences import Divergences
from jensen.reproductions.divergences._divergences import DIVERGENCES, IWAE_GROUPS, IWAE_SAMPLES
from jensen.reproductions.divergences._measurements import fit_and_measure, plane_moments
from jensen.reproductions.divergences._table import notes, width
from jensen.reproductions.divergences._targets import RHO, TARGETS, by_quadrature, eight_schools
from jensen.reproductions.divergences._two_normals import (
    expected_iwae,
    variance_of_iwae,
    variance_of_power,
)

RNG = np.random.default_rng(0)
COVARIANCE = np.array([[1, RHO], [RHO, 1]])


def _grid(rho):
    """Points along the eigenvectors of S, with log p and the area of a cell."""
    first, second = np.linspace(-11, 11, 121), np.linspace(-7, 7, 141)
    a, b = np.meshgrid(first, second, indexing="ij")
    x, y = (a + b) / math.sqrt(2), (a - b) / math.sqrt(2)
    log_p = (
        -0.5 * (a**2 / (1 + rho) + b**2 / (1 - rho))
        - 0.5 * math.log(1 - rho**2)
        - math.log(2 * math.pi)
    )
    return x, y, log_p, (first[1] - first[0]) * (second[1] - second[0])


def _brute(divergence, rho):
    """Both variances of the mean-field normal that minimises a divergence.

    The divergence is a function of log p and log q on a grid and of the area of its cells.
    """
    x, y, log_p, area = _grid(rho)

    def value(log_t):
        s, t = np.exp(log_t)
        log_q = -0.5 * (x**2 / s + y**2 / t) - 0.5 * math.log(s * t) - math.log(2 * math.pi)
        return divergence(log_p, log_q, area)

    return np.exp(
        minimize(
            value, np.log([0.8, 0.9]), method="Nelder-Mead", options={"xatol": 1e-4, "fatol": 1e-10}
        ).x
    )


def _power(a):
    def divergence(log_p, log_q, area):
        total = np.log(area * np.exp(a * log_p + (1 - a) * log_q).sum())
        return -total / a if a < 1 else total / a

    return divergence


def _middle(log_p, log_q, area):
    middle = np.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * area * np.sum(np.exp(log_p) * (log_p - middle) + np.exp(log_q) * (log_q - middle))


@pytest.mark.parametrize(
    ("a", "divergence"),
    [
        (0.0, lambda p, q, area: area * np.sum(np.exp(q) * (q - p))),
        (0.5, _power(0.5)),
        (0.5, _middle),
        (1.0, lambda p, q, area: area * np.sum(np.exp(p) * (p - q))),
        (2.0, _power(2.0)),
    ],
    ids=["reverse KL", "Renyi 1/2", "Jensen-Shannon", "forward KL", "chi^2"],
)
def test_the_best_variance_is_that_of_a_search_over_both_variances(a, divergence):
    np.testing.assert_allclose(_brute(divergence, 0.6), variance_of_power(a, 0.6), rtol=3e-4)


def test_the_best_variance_of_renyi_2_is_where_its_closed_form_is_stationary():
    # D_2(q || p) = log E_q q/p = -(1/2) log |D| ... with D diagonal; finite where 2/t > L's largest
    # eigenvalue.
    precision = np.linalg.inv(COVARIANCE)

    def value(log_t):
        inverse = np.diag(np.exp(-log_t))
        sign, log_det = np.linalg.slogdet(2 * inverse - precision)
        if sign <= 0 or np.linalg.eigvalsh(2 * inverse - precision)[0] <= 0:
            return 1e9
        return -np.sum(log_t) - 0.5 * np.linalg.slogdet(precision)[1] - 0.5 * log_det

    optimum = minimize(
        value, np.log([0.1, 0.12]), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-13}
    ).x
    np.testing.assert_allclose(np.exp(optimum), variance_of_power(-1, RHO), rtol=1e-5)


def test_the_ends_of_the_family_are_the_textbooks():
    precision = np.linalg.inv(COVARIANCE)
    assert variance_of_power(0, RHO) == pytest.approx(1 / precision[0, 0], abs=1e-12)
    assert variance_of_power(1, RHO) == pytest.approx(1.0, abs=1e-12)
    assert variance_of_power(0.5, RHO) == pytest.approx(math.sqrt(1 - RHO**2), abs=1e-12)
    several = [variance_of_power(a, RHO) for a in (-3, -1, 0, 0.3, 0.5, 0.7, 1, 2, 5)]
    assert several == sorted(several) and len(set(several)) == len(several)
    assert variance_of_power(0.5 + 1e-9, RHO) == pytest.approx(
        variance_of_power(0.5, RHO), abs=1e-7
    )


@pytest.mark.parametrize("t", [0.19, 1.0, 2.2])
def test_the_importance_weighted_bound_by_quadrature_is_its_mean_over_draws(t):
    excess = t / np.array([1 + RHO, 1 - RHO]) - 1
    e = RNG.normal(size=(30_000, IWAE_SAMPLES, 2))
    log_w = 0.5 * np.log1p(excess).sum() - 0.5 * (e**2 @ excess)
    bound = np.log(np.exp(log_w).mean(axis=1))
    assert abs(expected_iwae(t, IWAE_SAMPLES, RHO) - bound.mean()) < 4 * bound.std() / math.sqrt(
        len(bound)
    )
    kl = 0.5 * np.sum(excess - np.log1p(excess))
    assert expected_iwae(t, 1, RHO) == pytest.approx(-kl, abs=1e-5)


def test_more_draws_widen_the_best_q_of_iwae_from_reverse_kl_to_chi_squared():
    several = [variance_of_iwae(k, RHO) for k in (1, 3, 10)]
    assert several[0] == pytest.approx(1 - RHO**2, rel=1e-4)
    assert several == sorted(several) and 1 < several[2] < variance_of_power(2, RHO)


@pytest.mark.parametrize(
    ("name", "window"),
    [
        ("two_normals", ((-8, 8), (-8, 8))),
        ("banana", ((-6, 8), (-6, 34))),
        ("two_modes", ((-7, 7), (-6, 6))),
    ],
)
def test_targets_integrate_to_one_and_have_the_moments_that_they_say(name, window):
    target = TARGETS[name]()
    log_z, mean, sd = by_quadrature(target.log_density, window)
    assert log_z == pytest.approx(target.log_z, abs=1e-6)
    np.testing.assert_allclose(mean, target.mean, atol=1e-6)
    np.testing.assert_allclose(sd, target.sd, rtol=1e-6)


def test_eight_schools_marginal_has_the_known_evidence_and_moments(x64):
    schools = eight_schools()
    assert schools.log_z == pytest.approx(-31.3113474, abs=2e-6)
    assert schools.mean[0] == pytest.approx(4.3968, abs=1e-4) and schools.sd[0] == pytest.approx(
        3.3177, abs=1e-4
    )
    # The plane is the target's: with the effects integrated out by draws, its density agrees with
    # the model's own.
    target = schools.make_density()
    assert [target.coordinates[i] for i in schools.plane] == ["mu", "tau"]
    z = RNG.normal(size=(20_000, 8))
    at = np.concatenate([np.tile([3.0, 0.7], (len(z), 1)), z], axis=1)
    import jax

    log_w = (
        np.asarray(jax.vmap(target.log_density)(at))
        + 0.5 * np.sum(z**2, axis=1)
        + 4 * math.log(2 * math.pi)
    )
    weights = np.exp(log_w - log_w.max())
    log_marginal, error = (
        np.log(weights.mean()) + log_w.max(),
        weights.std() / weights.mean() / math.sqrt(len(z)),
    )
    assert abs(log_marginal - schools.log_density(np.array([3.0]), np.array([0.7]))[0]) < 4 * error


def _row(divergence, target="two_normals", family="mean_field", **options):
    settings = {"seed": 0, "num_samples": 2000, "tolerance": 0.03, "max_steps": 6000}
    return fit_and_measure(TARGETS[target](), target, family, divergence, **settings | options)


def test_reverse_kl_meets_its_closed_form_and_forward_kl_its_own_within_its_errors():
    row = _row("elbo")
    np.testing.assert_allclose(np.diag(row["covariance"]), 1 - RHO**2, atol=1e-6)
    assert row["variance_error"] == 0 and row["converged"]
    assert abs(row["elbo"] + 0.83037) < 4 * row["elbo_error"]
    row = _row("eubo", tolerance=0.02)
    assert row["converged"] and 0 < row["variance_error"] < 0.1
    np.testing.assert_allclose(
        np.diag(row["covariance"]), 1.0, atol=4 * row["variance_error"] + 0.01
    )


@pytest.mark.slow
@pytest.mark.parametrize("divergence", ["renyi_2", "renyi_half", "iwae"])
def test_the_other_bounds_meet_theirs(divergence):
    row = _row(divergence, tolerance=0.02)
    assert row["converged"]
    np.testing.assert_allclose(
        np.diag(row["covariance"]),
        row["best_variance"],
        atol=4 * row["variance_error"] + 0.01 * row["best_variance"],
    )


def test_full_rank_reverse_kl_is_the_target_and_moments_are_those_of_the_plane():
    row = _row("elbo", family="full_rank")
    np.testing.assert_allclose(row["covariance"], COVARIANCE, atol=1e-6)
    assert width(row) == "right"

    class Member:
        def parameters(self):
            return np.arange(3.0), np.array([[1.0, 0, 0], [2.0, 3.0, 0], [4.0, 5.0, 6.0]])

    mean, covariance = plane_moments(Member(), (2, 0))
    np.testing.assert_allclose(mean, [2, 0])
    np.testing.assert_allclose(covariance, [[77, 4], [4, 1]])


def test_the_bound_of_groups_is_that_of_as_many_draws_each():
    assert (
        DIVERGENCES["iwae"].bound["num_groups"] == IWAE_GROUPS
        and DIVERGENCES["iwae"].num_samples == IWAE_GROUPS * IWAE_SAMPLES
    )


def test_a_fit_that_did_not_converge_and_a_divergence_without_a_value_say_so():
    row = _row("cubo", "banana", max_steps=200, num_samples=200)
    assert not row["converged"] and row["verdict"].startswith("Not converged") and row["infinite"]
    text = " ".join(notes([row], ""))
    assert (
        "stopped: banana, mean field, cubo." in text
        and "On banana the chi^2 divergence from every normal is infinite" in text
    )


def call(capsys, *arguments):
    code = cli.run(["reproduce", "divergences", "--out", "out", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_from_end_to_end_and_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    chosen = (
        "--only",
        "two_normals",
        "--only",
        "banana",
        "--set",
        'divergences=["elbo"]',
        "--set",
        'families=["full_rank"]',
        "--num-samples",
        "1000",
    )
    code, out, err = call(capsys, *chosen, "--json")
    assert code == 0, out + err
    output = json.loads(out)
    assert [(r["target"], r["family"]) for r in output["rows"]] == [
        ("two_normals", "mean_field"),
        ("banana", "full_rank"),
    ]
    assert "[2/2] banana, full_rank, elbo: ELBO" in err
    names = [path.rsplit("/")[-1] for path in output["files"]]
    assert names == [
        "report.html",
        "targets.png",
        "targets.svg",
        "two_normals.png",
        "two_normals.svg",
        "results.md",
        "results.json",
    ]
    page = (tmp_path / "out" / "report.html").read_text()
    assert (
        "http" not in page.replace("http-equiv", "")
        and "0.1900" in page
        and page.count("data:image/svg") == 4
    )
    _, again, _ = call(capsys, *chosen, "--json")
    assert json.loads(again)["rows"] == output["rows"]  # the seconds are those of the first
    _, listed, _ = call(capsys, "--list", *chosen)
    assert listed.count("done") == 2
    _, listed, _ = call(capsys, "--list", *chosen, "--seed", "1")
    assert listed.count("not begun") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--only", "bananas"),
            (
                "unknown target 'bananas' (did you mean 'banana'?); known: two_normals, banana, "
                "two_modes, eight_schools."
            ),
        ),
        (("--set", 'divergences=["elboo"]'), "unknown divergence 'elboo' (did you mean 'elbo'?)"),
        (("--num-samples", "99"), "num_samples must be at least 100"),
        (("--set", "tolerance=0"), "tolerance must be positive and finite; got 0"),
        (("--set", "max_steps=0"), "max_steps must be at least 1; got 0"),
        (
            ("--only", "banana", "--set", 'divergences=["renyi_2"]'),
            "there is nothing to fit: renyi_2 and jensen_shannon are for two_normals alone",
        ),
    ],
)
def test_wrong_input_is_refused_by_name(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, _out, err = call(capsys, *arguments)
    assert code == 2 and message in err.replace("\n", " "), err


def test_all_is_planned_by_default(tmp_path):
    rows = Divergences(tmp_path, 0, None).planned().rows
    assert len(rows) == 7 + 3 * 2 * 5 and all(row["state"] == "not begun" for row in rows)
