"""The ladder of priors.

Its lines are the account's, its far end is the aggregated posterior, and the encoder stays where it
is.
"""

import dataclasses
import json
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import logsumexp

import jensen
from jensen import cli
from jensen.config import Config
from jensen.distributions import DiagonalNormalMixture, diagonal_normal
from jensen.priors import AbstractPrior, StandardNormal
from jensen.reproductions.prior_ladder import PriorLadder
from jensen.reproductions.prior_ladder._measurements import log_density, measure, split_draws
from jensen.reproductions.prior_ladder._table import progress_text
from jensen.sessions import start_run, stream_key

SAMPLES = 40
LINES = ("marginal_kl", "index_information", "elbo", "evidence")


class Rows(AbstractPrior):
    """The mixture of the posteriors of given rows, through the encoder at hand."""

    rows: np.ndarray = eqx.field(static=False)

    def __call__(self, encoder):
        q = jax.vmap(encoder)(self.rows)
        return DiagonalNormalMixture(q.base_dist.loc, q.base_dist.scale)


def binary(rows=200, seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.random((rows, 9)) < np.repeat(rng.random((rows, 3)) > 0.5, 3, axis=1) * 0.8 + 0.1
    ).astype(np.uint8)


def trained(folder, **sections):
    np.save(folder / "x.npy", binary())
    values = {
        "data": {"source": str(folder / "x.npy")},
        "model": {"latent_dim": 2},
        "network": {"hidden": [16]},
        "training": {"epochs": 30},
    } | sections
    start_run(Config.read(values), folder / "run", overwrite=False, progress=False)
    return jensen.load(folder / "run")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def ladder(run, tmp_path_factory):
    """(folder, JSON of a ladder over K = 1, 5, 40 and N = 160)."""
    folder = tmp_path_factory.mktemp("ladder")
    PriorLadder(
        folder, 0, None, run=str(run.path), components=(1, 5, 40), epochs=40, num_samples=SAMPLES
    ).run(progress=False)
    return folder, json.loads((folder / "results.json").read_text())


def of_kind(results, kind, k=None):
    (row,) = (r for r in results["rows"] if r["kind"] == kind and r["components"] == k)
    return row


def with_prior(model, prior):
    return dataclasses.replace(model, prior=prior, recipe=None)


def test_every_prior_is_there_from_nothing_to_everything(ladder):
    kinds = [(r["kind"], r["components"]) for r in ladder[1]["rows"]]
    learned, fixed = ([(kind, k) for k in (1, 5, 40)] for kind in ("learned", "fixed"))
    assert kinds == [("standard_normal", None), *learned, *fixed, ("aggregated", 160)]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("kind", ["standard_normal", "aggregated"])
def test_the_lines_are_those_of_the_account_of_a_model_with_that_prior(run, ladder, split, kind):
    rows = run.dataset.split(split)
    prior = StandardNormal(2) if kind == "standard_normal" else Rows(jnp.asarray(run.dataset.train))
    account = jensen.account(
        with_prior(run.model, prior), rows, key=stream_key(0, "account"), num_samples=SAMPLES
    )
    row = of_kind(ladder[1], kind, None if kind == "standard_normal" else 160)[split]
    for name in LINES:
        line = account.line(name)
        # The same draws: the account has log p(z) in float32, the ladder in float64.
        assert row[name]["value"] == pytest.approx(line.value, abs=2e-5)
        assert row[name]["standard_error"] == pytest.approx(line.standard_error, rel=1e-3, abs=1e-6)
        assert row[name]["data_error"] == pytest.approx(line.data_error, rel=1e-3, abs=1e-6)
    assert row["k_hat_too_high"] == pytest.approx(account.untrusted_share, abs=0.1)


def test_at_k_equal_n_the_marginal_kl_of_the_training_data_is_zero(run, ladder):
    far = of_kind(ladder[1], "aggregated", 160)
    line = far["train"]["marginal_kl"]
    assert abs(line["value"]) <= 5 * line["standard_error"] + 1e-6
    # By the account too, which evaluates the prior through the model's own encoder and not through
    # kept codes.
    account = jensen.account(
        with_prior(run.model, Rows(jnp.asarray(run.dataset.train))),
        run.dataset.train,
        key=jr.key(7),
        num_samples=SAMPLES,
    )
    assert abs(account.marginal_kl.value) <= 5 * account.marginal_kl.standard_error + 1e-5
    # It is the best prior there is for these data, and not for others.
    assert all(
        far["train"]["elbo"]["value"] >= row["train"]["elbo"]["value"] - 1e-6
        for row in ladder[1]["rows"]
    )
    assert far["test"]["marginal_kl"]["value"] > 1e-3 > abs(line["value"])


def test_index_information_does_not_change_along_the_ladder_and_the_lines_add_up(ladder, run):
    for split in ("train", "test"):
        rows = [row[split] for row in ladder[1]["rows"]]
        assert len({r["index_information"]["value"] for r in rows}) == 1
        reconstruction = {
            round(
                r["elbo"]["value"] + r["index_information"]["value"] + r["marginal_kl"]["value"], 9
            )
            for r in rows
        }
        assert len(reconstruction) == 1
        account = jensen.account(
            run.model, run.dataset.split(split), key=stream_key(0, "account"), num_samples=SAMPLES
        )
        assert reconstruction.pop() == pytest.approx(account.reconstruction.value, abs=1e-5)
        assert rows[0]["index_information"]["value"] == pytest.approx(
            account.index_information.value, abs=1e-6
        )


def test_more_rows_and_learning_bring_the_prior_nearer(ladder):
    kl = {
        (r["kind"], r["components"]): r["train"]["marginal_kl"]["value"] for r in ladder[1]["rows"]
    }
    assert kl["fixed", 1] > kl["fixed", 5] > kl["fixed", 40] > kl["aggregated", 160]
    assert all(kl["learned", k] < kl["fixed", k] for k in (1, 5))


def test_gains_are_paired_differences(ladder):
    folder, results = ladder
    with (
        np.load(folder / "rungs" / "fixed-40.npz") as ours,
        np.load(folder / "rungs" / "standard_normal.npz") as theirs,
    ):
        difference = ours["test.evidence"] - theirs["test.evidence"]
    gain = of_kind(results, "fixed", 40)["gain"]["test"]["evidence"]
    assert gain["value"] == pytest.approx(difference.mean())
    assert gain["standard_error"] == pytest.approx(
        difference.std(ddof=1) / math.sqrt(len(difference))
    )


def test_log_densities_are_the_brute_force_ones(x64):
    rng = np.random.default_rng(1)
    z, loc, scale, logits = (
        rng.normal(size=(4, 3, 5)) * 3,
        rng.normal(size=(7, 5)),
        rng.uniform(0.01, 2, (7, 5)),
        rng.normal(size=7),
    )
    each = np.sum(
        -0.5 * ((z[..., None, :] - loc) / scale) ** 2 - np.log(scale) - 0.5 * np.log(2 * np.pi),
        axis=-1,
    )
    mixture = DiagonalNormalMixture(jnp.asarray(loc), jnp.asarray(scale), jnp.asarray(logits))
    np.testing.assert_allclose(
        log_density(mixture, z), logsumexp(each + logits - logsumexp(logits), axis=-1), rtol=1e-6
    )
    np.testing.assert_allclose(
        log_density(diagonal_normal(jnp.asarray(loc[0]), jnp.asarray(scale[0])), z),
        each[..., 0],
        rtol=1e-6,
    )

    class Shifted:
        """A distribution of no class that is known here."""

        def sample(self, key, sample_shape=()):
            return mixture.sample(key, sample_shape) + 1.0

        def log_prob(self, value):
            return mixture.log_prob(value - 1.0)

    np.testing.assert_allclose(log_density(Shifted(), z + 1), log_density(mixture, z), rtol=1e-6)


@pytest.mark.slow
def test_what_is_measured_is_kept_and_the_rest_measured_again(run, ladder, tmp_path, capsys):
    import shutil

    shutil.copytree(ladder[0], tmp_path / "again")
    before = json.loads((tmp_path / "again" / "results.json").read_text())["rows"]
    (tmp_path / "again" / "rungs" / "learned-5.npz").unlink()
    damaged = tmp_path / "again" / "rungs" / "fixed-1.npz"
    damaged.write_bytes(damaged.read_bytes()[:50])
    stored = tmp_path / "again" / "rungs" / "aggregated-160.npz"
    time = stored.stat().st_mtime_ns
    arguments = [
        "reproduce",
        "prior-ladder",
        "--run",
        str(run.path),
        "--out",
        str(tmp_path / "again"),
        "--num-samples",
        str(SAMPLES),
        "--json",
    ]
    assert cli.run([*arguments, "--epochs", "40", "--set", "components=[1, 5, 40]"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["rows"] == before
    assert f"[8/8] aggregated posterior, K = 160: {progress_text(before[-1])}" in captured.err
    assert stored.stat().st_mtime_ns == time
    # Other settings are not what was kept.
    assert cli.run([*arguments, "--epochs", "1", "--set", "components=[5]", "--seed", "1"]) == 0
    capsys.readouterr()
    assert stored.stat().st_mtime_ns != time


@pytest.mark.slow
def test_the_runs_own_prior_is_a_further_baseline(tmp_path):
    run = trained(tmp_path, prior={"name": "vamp", "num_components": 3}, training={"epochs": 5})
    results = PriorLadder(
        tmp_path / "out", 0, None, run=str(run.path), components=(2,), epochs=1, num_samples=SAMPLES
    ).run(progress=False)
    (own,) = (r for r in results.rows if r["kind"] == "own")
    account = jensen.account(
        run.model, run.dataset.test, key=stream_key(0, "account"), num_samples=SAMPLES
    )
    for name in LINES:
        assert own["test"][name]["value"] == pytest.approx(account.line(name).value, abs=2e-5)


def test_evidence_of_some_rows_is_that_of_these_rows(run):
    draws = split_draws(
        run.model,
        run.dataset.test,
        key=stream_key(0, "account"),
        num_samples=SAMPLES,
        rows=7,
        split="test",
        progress=False,
    )
    measured = measure(run.model.prior(run.model.encoder), draws)
    account = jensen.account(
        run.model, run.dataset.test, key=stream_key(0, "account"), num_samples=SAMPLES
    )
    np.testing.assert_allclose(
        measured["evidence"]["per_datum"], account.evidence.per_datum[:7], atol=1e-4
    )
    np.testing.assert_allclose(measured["elbo"]["per_datum"], account.elbo.per_datum, atol=1e-4)


@pytest.mark.slow
def test_without_a_run_one_is_trained_first_and_shortened_on_request(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = [
        "--epochs",
        "1",
        "--num-samples",
        "5",
        "--set",
        "components=[3]",
        "--set",
        "base_epochs=2",
        "--set",
        "rows=20",
    ]
    assert cli.run(["reproduce", "prior-ladder", *quick]) == 0
    out = capsys.readouterr().out
    assert "The ladder of priors on digits: nats per datum" in out
    assert "At K = N = 1257 the marginal KL on train is 0.000" in out
    assert (
        "log p(x) is that of the first 20 of 1257 train data and of the first 20 of 360 test data."
        in out
    )
    run = jensen.load("runs/prior-ladder/digits-epochs2")
    assert (run.status, run.config["prior"]["name"], run.config["training"]["warm_up"]) == (
        "completed",
        "standard_normal",
        0,
    )
    output = json.loads((tmp_path / "runs" / "prior-ladder" / "results.json").read_text())
    assert output["evidence_rows"] == {"train": 20, "test": 20} and output["n"] == {
        "train": 1257,
        "test": 360,
    }
    assert (tmp_path / "runs" / "prior-ladder" / "ladder.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.run(["reproduce", "prior-ladder", "--list", *quick]) == 0
    assert "4 priors measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--run", "nowhere"], 2, "no run at nowhere"),
        (
            ["--run", "RUN", "--set", "components=[400]"],
            2,
            "400 pseudo-inputs cannot be drawn from 160 training data",
        ),
        (["--set", "components=[0]"], 2, "components[0] must be at least 1; got 0"),
        (["--epochs", "0"], 2, "epochs must be at least 1; got 0"),
        (["--set", "rows=1"], 2, "rows must be at least 2; got 1"),
        (
            ["--data", "minst"],
            2,
            "reproduction 'prior_ladder': data must be one of digits, mnist; got 'minst'",
        ),
        (["--only", "x"], 2, "has no option 'only'"),
    ],
)
def test_wrong_input(run, capsys, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    assert (
        cli.run(
            ["reproduce", "prior-ladder", *(str(run.path) if a == "RUN" else a for a in arguments)]
        )
        == code
    )
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_the_picture_has_every_rung_at_its_place(ladder):
    from jensen.reports._style import WIDE, styled
    from jensen.reproductions.prior_ladder.picture import ladder_figure

    results = ladder[1]
    with styled():
        panel = ladder_figure(results["rows"], WIDE).axes[0]
    curves = {tuple(np.round(line.get_xdata(), 6)): [] for line in panel.lines}
    for line in panel.lines:
        curves[tuple(np.round(line.get_xdata(), 6))].append(np.asarray(line.get_ydata()))
    for kind in ("learned", "fixed"):
        rungs = [of_kind(results, kind, k) for k in (1, 5, 40)] + [
            of_kind(results, "aggregated", 160)
        ]
        for split in ("train", "test"):
            values = [r[split]["marginal_kl"]["value"] for r in rungs]
            assert any(np.allclose(values, y) for y in curves[1.0, 5.0, 40.0, 160.0])
    levels = [y for x, ys in curves.items() if x == (0.0, 1.0) for y in ys]
    assert any(
        np.allclose(y, of_kind(results, "standard_normal")["test"]["marginal_kl"]["value"])
        for y in levels
    )
    assert panel.get_xscale() == "log"
