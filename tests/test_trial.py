"""Priors on trial: realised + left = predicted, the optimum realises everything, memory of the training data is called so; what cannot be tried is refused."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from jax import random as jr

import jensen
from jensen import cli
from jensen.anatomy import surgery
from jensen.trial import Gain, Measured, Trial, label, store_trial, stored_trials, try_prior

KEY = jr.key(5)
NETWORK = {"name": "dense", "hidden": (16,)}


def binary(rows=400):
    """Two kinds of rows, so that codes lie in two heaps."""
    rng = np.random.default_rng(0)
    return (rng.random((rows, 9)) < np.where(rng.random((rows, 1)) > 0.5, 0.9, 0.1)).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def world():
    """A model with little weight on the KL: its codes are far from N(0, I), and there is much to win."""
    data = jensen.load_dataset(binary())
    model = jensen.vae((9,), latent_dim=2, network=NETWORK, data=data, key=jr.key(2))
    return jensen.fit(
        model,
        data,
        epochs=30,
        beta=0.05,
        warm_up=0,
        learning_rate=0.01,
        key=jr.key(3),
        progress=False,
    ).model, data


@pytest.fixture(scope="module")
def trial(world):
    model, data = world
    return try_prior(
        model, {"name": "mixture", "num_components": 8}, data, key=KEY, progress=False, epochs=120
    )


def test_realised_and_left_are_what_was_predicted(trial, world):
    model, data = world
    for split, gain in trial.gains.items():
        assert gain.realised.value + gain.left.value == pytest.approx(
            gain.predicted.value, abs=1e-12
        )
        # Predicted is the marginal KL of the account with this key, whose log p(z) is float32.
        account = jensen.account(model, data.split(split), key=KEY, num_samples=10)
        assert gain.predicted.value == pytest.approx(account.marginal_kl.value, abs=1e-5)
        assert gain.predicted.standard_error == pytest.approx(
            account.marginal_kl.standard_error, rel=1e-3
        )
        assert gain.left.value > -3 * gain.left.standard_error  # a KL
    assert list(trial.gains) == ["test", "train"]
    assert trial.gain.share > 0.5


def test_realised_is_the_difference_of_the_two_elbos_on_the_same_draws(trial, world):
    """The model with the new prior, put under the account's own surgery with the same key: its ELBO is higher by just that."""
    model, data = world
    refitted = jensen.refit_prior(
        model,
        dict(trial.prior),
        data,
        key=jr.fold_in(KEY, 4),
        epochs=120,
        learning_rate=1e-2,
        cool_down=60,
        patience=0,
        progress=False,
    ).model
    before, after = (surgery(m, data.test, key=jr.split(KEY)[0]) for m in (model, refitted))
    difference = (after.log_prior - before.log_prior).mean(axis=1)
    assert trial.gain.realised.value == pytest.approx(difference.mean(), abs=1e-5)
    assert trial.gain.realised.data_error == pytest.approx(
        difference.std(ddof=1) / np.sqrt(len(difference)), rel=1e-3
    )
    spread = (after.log_prior - before.log_prior).std(axis=1, ddof=1) / math.sqrt(
        before.log_prior.shape[1]
    )
    assert trial.gain.realised.standard_error == pytest.approx(
        math.sqrt((spread**2).sum()) / len(spread), rel=1e-3
    )


def test_the_aggregated_posterior_realises_all_of_train_and_less_of_test(world):
    """Fitted by nothing but the data themselves, its marginal KL on train is 0: the optimum."""
    model, data = world
    found = try_prior(model, "aggregated", data, key=KEY, progress=False)
    assert found.gains["train"].left.value == pytest.approx(0, abs=1e-4)
    assert found.gains["train"].share == pytest.approx(1, abs=1e-4)
    assert found.gain.realised.value < found.gain.predicted.value


def test_several_levels_are_tried_at_the_top():
    data = jensen.load_dataset(binary(400))
    model = jensen.hvae((9,), latent_dim=(3, 2), network=NETWORK, data=data, key=jr.key(2))
    model = jensen.fit(
        model,
        data,
        epochs=40,
        beta=0.05,
        warm_up=0,
        learning_rate=0.01,
        key=jr.key(3),
        progress=False,
    ).model
    found = try_prior(
        model,
        {"name": "vamp", "num_components": 6, "initialise": "data"},
        data,
        key=KEY,
        epochs=100,
        progress=False,
        split="validation",
    )
    account = jensen.account(model, data.validation, key=KEY, num_samples=10)
    assert found.gain.predicted.value == pytest.approx(account.marginal_kl.value, abs=1e-5)
    gained = found.gains["train"].realised  # of the few validation data it is within its noise
    assert gained.value > 5 * gained.standard_error
    assert list(found.gains) == ["validation", "train"]


def measured(value, error=0.01, data_error=0.02):
    return Measured(value, error, data_error)


def a_trial(realised, predicted=1.0, train=None, name="vamp"):
    def gain(value):
        return Gain(100, 4, measured(predicted), measured(value), measured(predicted - value))

    gains = {"test": gain(realised), "train": gain(realised if train is None else train)}
    return Trial(
        {"name": name, "num_components": 50},
        {"name": "standard_normal", "scale": 1.0},
        "test",
        gains,
        10,
        1.5,
        "done.",
    )


def test_verdicts_say_how_much_is_real():
    assert (
        a_trial(0.7).verdict
        == "vamp(50) realises 0.70 +- 0.01 of the 1.00 nats predicted on test (70%)."
    )
    assert (
        a_trial(0.7, train=0.75).verdict == a_trial(0.7).verdict
    )  # within the errors of the two splits
    assert a_trial(0.5, train=0.9).verdict.endswith(
        "On train it gains 0.90: 0.40 of that is the training data learned by heart."
    )
    lost = a_trial(-0.2, train=0.9).verdict
    assert lost.startswith(
        "vamp(50) loses 0.20 +- 0.01 nats on test, where up to 1.00 could be won."
    )
    assert "learned by heart" in lost
    assert a_trial(0.0, predicted=0.02).verdict.startswith(
        "On test nothing was predicted to win (0.02 +- 0.01 nats)"
    )
    assert math.isnan(a_trial(0.0, predicted=0.02).gain.share)
    text = str(a_trial(0.5, train=0.9))
    assert "vamp(50) in the place of standard_normal" in text
    assert "50.0%" in text and "90.0%" in text


def test_a_trial_is_kept_and_read_again(tmp_path):
    trials = [a_trial(0.2, name="mixture"), a_trial(0.7), a_trial(0.0, predicted=0.02, name="flow")]
    names = {store_trial(tmp_path, t).name for t in trials}
    assert names == {
        "test.trial-mixture-50.json",
        "test.trial-vamp-50.json",
        "test.trial-flow-50.json",
    }
    assert [label(t.prior) for t in stored_trials(tmp_path)] == [
        "vamp(50)",
        "mixture(50)",
        "flow(50)",
    ]
    assert stored_trials(tmp_path)[0] == trials[1]
    assert stored_trials(tmp_path, "train") == ()
    (tmp_path / "accounts" / "test.trial-bad.json").write_text("{}")
    with pytest.raises(ValueError, match=r"test.trial-bad.json cannot be read .*Make it again"):
        stored_trials(tmp_path)


def test_what_cannot_be_tried_is_refused(world):
    model, data = world
    with pytest.raises(
        ValueError, match="standard_normal is the model's own prior, with the same options"
    ):
        try_prior(model, "standard_normal", data, key=KEY)
    with pytest.raises(ValueError, match="put together by hand"):
        try_prior(replace(model, recipe=None), "mixture", data, key=KEY)
    chain = jensen.markov((9,), latent_dim=2, network=NETWORK, data=data, key=KEY)
    with pytest.raises(ValueError, match="no prior can be tried on a markov model"):
        try_prior(chain, "mixture", data, key=KEY)
    bits = jensen.vae(
        (9,),
        latent_dim=2,
        encoder="bernoulli",
        prior="bernoulli",
        network=NETWORK,
        data=data,
        key=KEY,
    )
    with pytest.raises(ValueError, match="continuous codes, and this model's are binary"):
        try_prior(bits, "vamp", data, key=KEY)
    with pytest.raises(ValueError, match="num_componets"):
        try_prior(model, {"name": "vamp", "num_componets": 3}, data, key=KEY)
    # Other options of the same prior are another prior.
    wide = try_prior(
        model, {"name": "standard_normal", "scale": 2.0}, data, key=KEY, progress=False
    )
    assert wide.epochs == 0
    cut = surgery(model, data.test, key=jr.split(KEY)[0])
    z2 = (cut.z**2).sum(axis=-1)
    assert wide.gain.realised.value == pytest.approx(
        (z2 / 2 - z2 / 8 - 2 * np.log(2)).mean(), abs=1e-5
    )


@pytest.mark.timeout(300)
def test_the_command_tries_keeps_and_reports(tmp_path, capsys):
    np.save(tmp_path / "x.npy", binary())
    run = str(tmp_path / "run")
    quick = [
        "--hidden",
        "16",
        "--latent-dim",
        "2",
        "--set",
        "account.num_samples=20",
        "--set",
        "account.num_draws=3",
    ]
    assert (
        cli.run(
            [
                "fit",
                str(tmp_path / "x.npy"),
                "--out",
                run,
                "--epochs",
                "10",
                "--beta",
                "0.05",
                *quick,
            ]
        )
        == 0
    )
    settings = ["--set", "prior.num_components=5", "--set", "training.epochs=8"]
    capsys.readouterr()
    assert cli.run(["account", run, "--try", "mixture", "--try", "vamp", *settings, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["trials"]
    assert (first["prior"]["name"], second["prior"]["name"]) == ("mixture", "vamp")
    assert first["prior"]["num_components"] == 5
    assert first["epochs"] == 8
    assert first["gains"]["test"]["predicted"]["value"] == pytest.approx(
        jensen.load(run).account.marginal_kl.value, abs=1e-5
    )
    assert first["gains"]["test"]["num_draws"] == 3  # the run's setting
    kept = stored_trials(tmp_path / "run")
    assert {label(t.prior) for t in kept} == {"mixture(5)", "vamp(5)"}
    assert cli.run(["report", run]) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Priors on trial" in page
    assert all(t.verdict in page for t in kept)
    capsys.readouterr()
    for arguments, said in (
        (["--set", "prior.num_components=5"], "goes with --try"),
        (["--try", "mixture", "--gaps", "5"], "--try takes no --gaps"),
        (["--try", "mixture", "--set", "encoder.name=flow"], "got encoder"),
        (["--try", "mixture", "--set", "training.beta=2"], "refit_prior has no option 'beta'"),
    ):
        assert cli.run(["account", run, *arguments]) == 2
        assert said in capsys.readouterr().err


def test_a_prior_that_gives_draws_no_density_is_an_error(world, monkeypatch):
    from jensen.trial import attempt

    model, data = world
    monkeypatch.setattr(attempt, "log_density", lambda prior, z: np.full(z.shape[:-1], -np.inf))
    with pytest.raises(ArithmeticError, match="gives them no density"):
        try_prior(model, {"name": "standard_normal", "scale": 3.0}, data, key=KEY, progress=False)
