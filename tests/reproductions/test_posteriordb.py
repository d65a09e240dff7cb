"""`jensen reproduce posteriordb` on a miniature.

NumPyro's side against closed forms, ours by a stand-in, stored rows, and the sentences under the
table.
"""

import json
import math
from types import SimpleNamespace

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from miniature_posteriordb import DATA, make

import jensen
from jensen import cli
from jensen.reproductions.posteriordb._fits import BACK, fit_jensen, fit_svi, no_longer_rises
from jensen.reproductions.posteriordb._measurements import verdict_of
from jensen.reproductions.posteriordb._posteriors import AbstractPosterior, load, program_of
from jensen.reproductions.posteriordb._table import compare_speed, notes, seconds_to

X, Y = np.array(DATA["X"]), np.array(DATA["y"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The miniature, with reference draws by importance sampling on a grid of sigma.

    They are exact up to the draws' own noise.
    """
    rng = np.random.default_rng(3)
    grid = np.exp(np.linspace(-6, 5, 4000))
    log_p = np.array([_log_marginal(s) for s in grid]) - grid**2 / 200 + np.log(grid)
    weights = np.exp(log_p - log_p.max())
    sigma = rng.choice(grid, p=weights / weights.sum(), size=4000)
    beta = np.stack([rng.multivariate_normal(*_conditional(s)) for s in sigma])
    make(tmp_path, {"beta": beta.reshape(4, 1000, 2), "sigma": sigma.reshape(4, 1000)})
    monkeypatch.setenv("JENSEN_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _log_marginal(sigma):
    """log N(y; 0, 100 X X^T + sigma^2 I)."""
    covariance = 100 * X @ X.T + sigma**2 * np.eye(len(Y))
    return -0.5 * (
        Y @ np.linalg.solve(covariance, Y) + np.linalg.slogdet(2 * math.pi * covariance)[1]
    )


def _conditional(sigma):
    covariance = np.linalg.inv(X.T @ X / sigma**2 + np.eye(2) / 100)
    return covariance @ X.T @ Y / sigma**2, covariance


def _log_evidence():
    """By the trapezoidal rule over log sigma, sigma ~ HalfNormal(10)."""
    u = np.linspace(-12, 6, 20_001)
    s = np.exp(u)
    log_f = (
        np.array([_log_marginal(v) for v in s])
        + np.log(2 / (10 * math.sqrt(2 * math.pi)))
        - s**2 / 200
        + u
    )
    return float(np.log(np.trapezoid(np.exp(log_f), u)))


def call(capsys, *arguments):
    code = cli.run(["reproduce", "posteriordb", "--out", "out", "--only", "blr", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


class Normal(AbstractPosterior):
    """A posterior that the guides hold exactly: z ~ N((1, -2), diag(1, 4)).

    It is observed by nothing but a factor, so that the evidence is exp(-3).
    """

    name, proper, arguments, stan_offset = "normal", True, (), 0.0
    reference_name, shapes = None, {"z": (2,)}

    @staticmethod
    def model():
        z = numpyro.sample(
            "z", dist.Normal(np.array([1.0, -2.0]), np.array([1.0, 2.0])).to_event(1)
        )
        numpyro.factor("constant", -3.0 + 0 * z.sum())


@pytest.mark.parametrize("guide", ["AutoNormal", "AutoMultivariateNormal"])
def test_numpyros_side_finds_an_exact_posterior_and_counts_what_it_did(guide):
    fit = fit_svi(Normal(), guide, seed=1, num_samples=4000, learning_rate=0.003, max_steps=30_000)
    assert fit.converged and fit.trusted and "no longer rises" in fit.outcome
    assert (
        30 == len(fit.trace) > fit.evaluations / 1000 >= 2 * BACK
    )  # what came after the end is for the clock alone
    # q is nearly the posterior: every log weight is nearly log Z = -3.
    assert abs(fit.elbo + 3) < 0.02 and fit.elbo < -3 + 4 * fit.elbo_error + 1e-9
    assert abs(fit.evidence + 3) < 4 * fit.evidence_error + 1e-3
    z = fit.draws["z"]
    assert np.all(np.abs(z.mean(axis=0) - [1, -2]) < 4 * np.array([1, 2]) / math.sqrt(4000) + 0.1)
    np.testing.assert_allclose(z.std(axis=0), [1, 2], rtol=0.1)
    assert (
        all(a[0] < b[0] for a, b in zip(fit.trace, fit.trace[1:]))
        and fit.trace[fit.evaluations // 1000 - 1][0] == fit.seconds
    )


def test_numpyros_side_says_when_it_has_not_converged_or_is_not_finite():
    fit = fit_svi(
        Normal(), "AutoNormal", seed=0, num_samples=200, learning_rate=1e-5, max_steps=1500
    )
    assert fit.evaluations == 2000 and not fit.converged and not fit.trusted
    assert fit.outcome == "the ELBO still rises after 1500 steps: 2000 steps."

    class Broken(Normal):
        @staticmethod
        def model():
            z = numpyro.sample("z", dist.Normal(0.0, 1.0))
            numpyro.factor("constant", jax.numpy.log(5 - z))

    with pytest.raises(
        FloatingPointError, match=r"NumPyro's AutoNormal on normal: the ELBO of step \d+ is nan"
    ):
        fit_svi(Broken(), "AutoNormal", seed=0, learning_rate=10.0, max_steps=1000)


def test_the_stopping_rule_is_two_standard_errors_of_the_rise():
    still = [(0.0, 0.1)] * 10
    error = 2 * 0.1 * math.sqrt(10) / BACK
    assert no_longer_rises(still) and not no_longer_rises(still[:9])
    assert no_longer_rises([*still[:5], *[(error * 0.99, 0.1)] * 5])
    assert not no_longer_rises([*still[:5], *[(error * 1.01, 0.1)] * 5])
    assert no_longer_rises([*still[:5], *[(-9.0, 0.1)] * 5])


def test_the_table_of_numpyros_side_holds_what_is_known_and_is_kept(folder, capsys):
    side = ("--set", "families=[]", "--num-samples", "2000", "--set", "learning_rate=0.003")
    code, out, err = call(capsys, *side, "--json")
    assert code == 0, out + err
    output = json.loads(out)
    rows = {row["method"]: row for row in output["rows"]}
    assert list(rows) == ["AutoNormal", "AutoMultivariateNormal"]
    log_z = _log_evidence()
    for row in rows.values():
        assert row["elbo"] < log_z + 4 * row["elbo_error"]
        assert row["stan_evidence"] == pytest.approx(row["evidence"] - math.log(2))
        assert 0 < row["predicted_sd_ratio"] < 1
        assert row["worst_parameter"] in ("beta[1]", "beta[2]", "sigma")
    full = rows["AutoMultivariateNormal"]
    assert full["elbo"] > rows["AutoNormal"]["elbo"]
    # Three data and three parameters: the posterior's tails are heavier than any normal's, and
    # importance sampling errs downwards: a lower bound, which no error covers.
    assert full["evidence_error"] is None
    assert log_z - 1.0 < full["evidence"] < log_z + 0.2
    assert {path.rsplit("/")[-1] for path in output["files"]} == {
        "posteriors.svg",
        "posteriors.png",
        "results.md",
        "results.json",
    }
    assert (folder / "out" / "posteriors.png").read_bytes()[:4] == b"\x89PNG"
    # Called again, nothing is fitted again; with another rate it would be.
    code, again, _ = call(capsys, *side, "--json")
    assert json.loads(again)["rows"] == output["rows"]
    _, listed, _ = call(capsys, "--list", *side)
    assert listed.count("done") == 2
    _, listed, _ = call(capsys, "--list", *side[:4], "--set", "learning_rate=0.1")
    assert listed.count("not begun") == 2
    _, shown, _ = call(capsys, *side)
    assert (
        "sblrc-blr" in shown
        and "AutoNormal, 1 posteriors with reference draws: 0 passes, 1 warned" in shown
    )


@pytest.fixture
def stand_in(monkeypatch):
    """A stand-in for `fit_variational`.

    It returns exact draws of a posterior whose moments it is given, and diagnostics.
    """
    calls = []

    def fit_variational(target, family, *, key, method="auto", bound=None, num_draws=10_000):
        calls.append((target, family, num_draws))
        noise = np.random.default_rng(int(jax.random.key_data(key)[-1])).normal(size=(num_draws, 3))
        draws = {"beta": noise[:, :2] + [1.0, -1.0], "sigma": np.exp(noise[:, 2]), "further": noise}
        figure = SimpleNamespace(value=-7.5, standard_error=0.01, error=0.01)
        outcome = SimpleNamespace(converged=True, message="converged: the gradient is small.")
        return SimpleNamespace(
            elbo=figure,
            evidence=figure,
            pareto_k=0.3,
            draws=draws,
            evaluations=123,
            seconds=0.1,
            seconds_fitting=0.05,
            outcome=outcome,
            trusted=True,
            verdicts=("nothing stands out",),
            importance=np.eye(num_draws)[0],
        )

    monkeypatch.setattr(jensen, "fit_variational", fit_variational, raising=False)
    monkeypatch.setattr(jensen, "from_numpyro", lambda model, *args: (model, args), raising=False)
    return calls


def test_our_side_is_called_once_and_judged_against_the_reference(folder, stand_in, capsys):
    code, out, err = call(
        capsys,
        "--set",
        "guides=[]",
        "--set",
        'families=["full_rank"]',
        "--num-samples",
        "500",
        "--json",
    )
    assert code == 0, out + err
    row = json.loads(out)["rows"][0]
    (model, arguments), family, draws = stand_in[-1]
    assert (model, family, draws) == (load("blr").model, "full_rank", 500)
    np.testing.assert_array_equal(arguments[1], Y)
    assert (row["elbo"], row["evaluations"], row["pareto_k"], row["trusted"], row["warnings"]) == (
        -7.5,
        123,
        0.3,
        True,
        ["nothing stands out"],
    )
    assert row["stan_evidence"] == pytest.approx(-7.5 - math.log(2))
    # All weight is on the first draw.
    assert (
        row["weighted_sd_ratios"] == pytest.approx([0, 0], abs=1e-12)
        and row["weighted_mean_error"] != row["largest_mean_error"]
    )
    # The reference has its mode near X^-1 y and a heavy-tailed sigma: trusted, and wrong.
    assert row["verdict"] == "SILENT FAILURE" and row["largest_mean_error"] > 0.05
    assert len([c for c in stand_in if c[1] == "full_rank"]) == 2  # the warm-up and this


def test_a_flat_prior_leaves_the_evidence_undefined(stand_in):
    class Flat(Normal):
        proper = False

    fit = fit_jensen(Flat(), "mean_field", seed=0, num_samples=100)
    assert (fit.evidence, fit.evidence_error) == (None, None) and fit.elbo == -7.5


def test_verdicts_and_speed_are_read_from_the_rows():
    assert [
        verdict_of(p, trusted=t)
        for p, t in ((True, True), (True, False), (False, False), (False, True))
    ] == [
        "passes",
        "over-cautious",
        "warned",
        "SILENT FAILURE",
    ]
    trace = [[1.0, -20.0, 0.1], [2.0, -10.05, 0.1], [3.0, -10.0, 0.1]]
    base = {"status": "done", "evidence": None, "trusted": True}
    ours = {
        **base,
        "posterior": "a",
        "method": "full_rank",
        "elbo": -10.0,
        "seconds": 0.8,
        "seconds_fitting": 0.5,
        "verdict": "passes",
    }
    theirs = {
        **base,
        "posterior": "a",
        "method": "AutoMultivariateNormal",
        "elbo": -10.0,
        "seconds": 2.0,
        "trace": trace,
        "verdict": "warned",
    }
    assert seconds_to(-10.0, theirs) == 2.0 and seconds_to(-9.0, theirs) is None
    assert compare_speed([ours, theirs]) == [
        {
            "posterior": "a",
            "family": "full_rank",
            "ours": 0.5,
            "ours_measured": 0.8,
            "theirs": 2.0,
            "theirs_at_least": 2.0,
            "ratio": 4.0,
            "ratio_measured": 2.5,
        }
    ]
    never = compare_speed([ours | {"elbo": -5.0}, theirs])[0]
    assert never["theirs"] is None and never["ratio"] == 6.0
    text = "\n".join(notes([ours, theirs], "settings"))
    assert (
        "NumPyro's AutoMultivariateNormal takes 4.0 times as long as we" in text
        and "2.5 times with all that" in text
        and "0 never reach it" in text
    )
    assert compare_speed([ours, theirs | {"status": "failed"}]) == []


def test_a_posterior_is_called_by_its_program_or_in_full():
    assert program_of("sblrc-blr") == program_of("blr") == "blr"
    with pytest.raises(
        ValueError, match=r"unknown posterior 'kidiq-blr' \(did you mean 'sblrc-blr'\?\)"
    ):
        program_of("kidiq-blr")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--num-samples", "50"],
            "num_samples must be at least 100, or k-hat means nothing; got 50",
        ),
        (["--set", "learning_rate=0"], "learning_rate must be positive and finite; got 0"),
        (["--set", "max_steps=0"], "max_steps must be at least 1; got 0"),
        (["--set", "families=[]", "--set", "guides=[]"], "there is nothing to fit"),
        (["--set", 'families=["flow"]'], "reproduction 'posteriordb': families"),
        (
            ["--only", "blrr", "--set", "families=[]"],
            "unknown posterior 'blrr' (did you mean 'blr'?)",
        ),
    ],
)
def test_wrong_options_are_refused(folder, capsys, arguments, message):
    code, _, err = call(capsys, *arguments)
    assert code == 2 and message in err.replace("\n", " ")


def test_a_posterior_whose_data_are_missing_is_a_row_that_failed(folder, capsys):
    code, out, _ = call(
        capsys,
        "--only",
        "wells_dist",
        "--set",
        "families=[]",
        "--set",
        'guides=["AutoNormal"]',
        "--set",
        "max_steps=1000",
        "--json",
    )
    rows = json.loads(out)["rows"]
    assert code == 1
    assert [row["status"] for row in rows] == ["done", "failed"]
    assert "no file" in rows[1]["message"] and "Nothing is downloaded" in rows[1]["message"]
