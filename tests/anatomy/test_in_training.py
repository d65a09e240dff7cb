"""The account in training: it is the surgery of a fixed subset, it changes no weight, it compiles once, and it keeps within its share of the time."""

import shutil

import jax
import jax.monitoring
import jax.random as jr
import numpy as np
import pytest

import jensen
from jensen import cli
from jensen.anatomy import in_training
from jensen.anatomy.aggregated import affordable_rows
from jensen.anatomy.elbo_surgery import encode, surgery
from jensen.anatomy.in_training import SHARE, InTraining, accounts_of, remarks_of, subset_account
from jensen.sessions import resume_run

KEY = jr.key(0)
SMALL = {"name": "dense", "hidden": (16,)}


def binary(rows=240):
    """Two kinds of rows, with noise: one bit and more for a code to tell."""
    rng = np.random.default_rng(0)
    return (rng.random((rows, 9)) < np.where(rng.random((rows, 1)) > 0.5, 0.9, 0.1)).astype(
        np.uint8
    )


def grey(rows=200):
    rng = np.random.default_rng(1)
    x = rng.integers(0, 17, (rows, 6)).astype(np.uint8)
    return jensen.Dataset(
        "grey", x, (x[:20] > 8).astype(np.uint8), (x[:20] > 8).astype(np.uint8), levels=16
    )


def small(data, **options):
    return jensen.vae(data.event_shape, latent_dim=2, network=SMALL, data=data, key=KEY, **options)


def without_times(history):
    def plain(record):
        kept = {k: v for k, v in record.items() if k != "seconds"}
        return kept | (
            {
                "account": {
                    k: v for k, v in kept["account"].items() if k not in ("seconds", "compiling")
                }
            }
            if "account" in kept
            else {}
        )

    return [plain(r) for r in history]


def leaves(model):
    return [np.asarray(a) for a in jax.tree.leaves(model)]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(leaves(a), leaves(b), strict=True))


@pytest.fixture
def unhurried(monkeypatch):
    """These trainings take milliseconds: what an account takes is no matter."""
    monkeypatch.setattr(in_training, "SHARE", 1e9)


def test_every_account_is_the_surgery_of_the_same_subset(unhurried):
    data = grey()
    model = small(data)
    fit = jensen.fit(
        model, data, epochs=6, patience=0, key=KEY, account_every=3, account_rows=50, progress=False
    )
    assert [a["epoch"] for a in accounts_of(fit.history)] == [3, 6]
    watch = InTraining(model, data.split("train"), KEY, every=3, rows=50)
    assert len(np.unique(watch.index)) == 50
    assert np.array_equal(watch.data, data.split("train")[watch.index])
    assert set(np.unique(watch.data)) == {0, 1}  # grey levels are drawn once
    found, cut = (
        fit.history[-1]["account"],
        surgery(fit.last, watch.data, key=watch.key, num_draws=2),
    )
    draws = {
        "index_information": cut.index_information,
        "marginal_kl": cut.marginal_kl,
        "reconstruction": cut.log_likelihood,
        "average_kl": cut.log_posterior - cut.log_prior,
        "elbo": cut.log_likelihood + cut.log_prior - cut.log_posterior,
    }
    for name, values in draws.items():
        assert found[name]["value"] == pytest.approx(values.mean(), abs=1e-12)
        assert found[name]["standard_error"] == pytest.approx(
            np.sqrt(np.sum(values.var(axis=1, ddof=1) / 2)) / 50
        )
    assert found["elbo"]["value"] == pytest.approx(
        found["reconstruction"]["value"]
        - found["index_information"]["value"]
        - found["marginal_kl"]["value"]
    )
    distinct = len(np.unique(watch.data.reshape(50, -1), axis=0))
    assert distinct < 50  # rows of 6 bits
    assert found["label"] == (
        f"I(n; z) of 50 training data, at most {found['index_ceiling']:.2f}, the entropy of the "
        f"{distinct} distinct rows of 50"
    )
    assert found["active_units"] == int(np.sum(cut.posterior_means.var(axis=0) > 0.01))


def test_the_weights_are_the_same_bit_for_bit_with_accounts_and_without(unhurried):
    data = jensen.load_dataset(binary())
    with_, without = (
        jensen.fit(small(data), data, epochs=5, key=KEY, account_every=every, progress=False)
        for every in (1, 0)
    )
    assert same(with_.model, without.model)
    assert same(with_.last, without.last)
    assert [len(accounts_of(f.history)) for f in (with_, without)] == [5, 0]
    assert [
        {k: v for k, v in r.items() if k != "account"} for r in without_times(with_.history)
    ] == without_times(without.history)


def test_a_resumed_training_takes_the_same_accounts_at_the_same_epochs(tmp_path, unhurried):
    data = jensen.load_dataset(binary())
    options = {
        "patience": 0,
        "warm_up": 3,
        "key": KEY,
        "account_every": 2,
        "account_rows": 60,
        "progress": False,
    }
    straight = jensen.fit(small(data), data, epochs=9, **options)
    jensen.fit(small(data), data, epochs=5, out=tmp_path / "run", **options)
    run = jensen.load(tmp_path / "run")
    resumed, _ = resume_run(run, epochs=9, dataset=data, progress=False)
    assert [a["epoch"] for a in accounts_of(resumed.history)] == [2, 4, 6, 8]
    assert (
        without_times(resumed.history)
        == without_times(straight.history)
        == without_times(jensen.load(run.path).history)
    )
    assert same(resumed.last, straight.last)


def test_a_collapsing_model_carries_nothing_and_a_learning_one_climbs(unhurried):
    data = jensen.load_dataset(binary(400))
    options = {
        "epochs": 40,
        "learning_rate": 0.01,
        "patience": 0,
        "warm_up": 0,
        "key": KEY,
        "account_every": 5,
        "progress": False,
    }
    collapsed, learned = (
        accounts_of(jensen.fit(small(data), data, beta=beta, **options).history)
        for beta in (50.0, 0.2)
    )
    end = collapsed[-1]["index_information"]
    assert abs(end["value"]) < 0.01 + 5 * end["standard_error"]
    assert collapsed[-1]["active_units"] == 0
    values = [a["index_information"]["value"] for a in learned]
    assert values[-1] > 1.5  # more than the one bit (0.69 nats) of which kind a row is
    assert values[-1] > values[0] + 5 * learned[-1]["index_information"]["standard_error"]
    assert all(a["index_information"]["value"] <= a["log_n"] for a in learned)


COMPILED: list[str] = []
jax.monitoring.register_event_duration_secs_listener(
    lambda event, seconds, **_: COMPILED.append(event) if "backend_compile" in event else None
)


@pytest.mark.parametrize(
    "kind", ["diagonal_normal", "full_normal", "student_t", "flow", "hvae", "markov"]
)
def test_nothing_is_compiled_after_the_first_account(kind, unhurried):
    data = jensen.load_dataset(binary(60))
    options = {"latent_dim": 2, "network": SMALL, "data": data, "key": KEY}
    model = (
        getattr(jensen, kind)((9,), **options)
        if kind in ("hvae", "markov")
        else jensen.vae((9,), encoder=kind, **options)
    )
    watch = InTraining(model, data.train, KEY, every=1, rows=20)
    values, compiled = [], []
    for epoch, factor in enumerate((1.0, 1.1, 1.2), start=1):
        scaled = jax.tree.map(
            lambda a, factor=factor: (
                a * factor if np.issubdtype(np.asarray(a).dtype, np.floating) else a
            ),
            model,
        )
        before = len(COMPILED)
        found = watch({"epoch": epoch, "seconds": 1.0}, scaled)["account"]
        compiled.append(len(COMPILED) - before)
        values.append(found["elbo"]["value"])
        assert found["compiling"] == (epoch == 1)
        # `scaled` is made by operations that compile, too: those of the first time only.
    assert compiled[0] > 0
    assert compiled[1:] == [0, 0]
    assert len(set(values)) == 3


def test_the_labels_of_levels_name_what_is_carried():
    data = jensen.load_dataset(binary(60))
    options = {"latent_dim": 2, "network": SMALL, "data": data, "key": KEY}
    for make, code, lines in ((jensen.hvae, "z2", {"kl_z1", "kl_z2"}), (jensen.markov, "z", set())):
        found = subset_account(
            surgery(make((9,), **options), data.train, key=KEY, num_draws=2), complete=True
        )
        n, distinct = len(data.train), np.unique(data.train.reshape(len(data.train), -1), axis=0)
        assert len(distinct) < n  # rows of 9 bits: some are the same
        assert found["label"] == (
            f"I(n; {code}) of all {n} training data, at most {found['index_ceiling']:.2f}, "
            f"the entropy of the {len(distinct)} distinct rows of {n}"
        )
        assert {name for name in found if name.startswith("kl_")} == lines


def test_accounts_take_no_more_than_their_share_and_say_when_they_are_rarer():
    """A clock of its own: an account takes as long as 1.3 epochs, an epoch 1 second."""
    records, spent = [], []
    for epoch in range(1, 301):
        record = {"epoch": epoch, "seconds": 1.0}
        records.append(record)
        if in_training._affordable(records):
            record["account"] = {
                "seconds": 1.3,
                "compiling": epoch == 1,
                "every": 1,
                "n": 100,
                "label": "",
                "epoch": epoch,
            }
        spent.append(sum(r["account"]["seconds"] for r in records[1:] if "account" in r))
    made = [r["epoch"] for r in records if "account" in r]
    assert made[:3] == [1, 2, 53]  # two accounts are 5% of the 52 seconds after the first
    assert all(
        s <= SHARE * t for t, s in enumerate(spent) if t >= 26
    )  # what a second one takes is not known before
    assert len(made) == 1 + (300 - 1) // 26
    (said,) = remarks_of(records)
    assert f"taken {len(made)} times, not at all 300 epochs asked for: one takes 1.3 s" in said
    assert "account_rows=25" in said
    assert remarks_of([{"epoch": 1}]) == ()
    assert remarks_of([r for r in records if "account" in r][:2]) == ()


def test_a_state_that_cannot_be_accounted_for_does_not_end_its_training(unhurried, monkeypatch):
    data = jensen.load_dataset(binary(60))
    plain = jensen.fit(small(data), data, epochs=2, key=KEY, progress=False)

    def fails(*_, **__):
        raise ValueError("log p(x|z) is not finite for datum 3.")

    monkeypatch.setattr(in_training, "surgery", fails)
    fit = jensen.fit(small(data), data, epochs=2, key=KEY, account_every=1, progress=False)
    assert same(fit.last, plain.last)
    assert fit.history[0]["account"]["error"] == "log p(x|z) is not finite for datum 3."
    assert accounts_of(fit.history) == []
    assert (
        "after epoch 1 and 1 more failed: log p(x|z) is not finite" in remarks_of(fit.history)[-1]
    )


def test_the_subset_is_smaller_where_q_z_costs_more():
    data = jensen.load_dataset(binary(100))
    for kind, fewer in (("diagonal_normal", False), ("student_t", True), ("flow", True)):
        posteriors = encode(small(data, encoder=kind), data.train)
        z = np.asarray(posteriors.one(0).sample(KEY))
        assert affordable_rows(posteriors, z) == len(data.train)
        some, half = (affordable_rows(posteriors, z, work=w) for w in (100_000.0, 25_000.0))
        assert (some < len(data.train)) == fewer
        assert (
            abs(some - 2 * half) <= 1 or not fewer
        )  # pairs, so a quarter of the work is half of the data


def test_what_cannot_be_asked_for_is_refused():
    data = jensen.load_dataset(binary(60))
    with pytest.raises(ValueError, match=r"account_every must be at least 0; got -1"):
        jensen.fit(small(data), data, account_every=-1, key=KEY)
    with pytest.raises(ValueError, match=r"account_rows must be at least 2; got 1"):
        jensen.fit(small(data), data, account_rows=1, key=KEY)
    with pytest.raises(ValueError, match="no option 'account_every'"):
        jensen.refit_prior(small(data), "mixture", data, account_every=1, key=KEY)


@pytest.fixture(scope="module")
def from_the_command_line(tmp_path_factory):
    run = tmp_path_factory.mktemp("watched") / "run"
    size = [
        "--hidden",
        "8",
        "--latent-dim",
        "2",
        "--set",
        "account.num_samples=30",
        "--set",
        "account.num_draws=2",
        "--set",
        "record.tensorboard=true",
    ]
    assert (
        cli.run(
            [
                "fit",
                "digits",
                "--epochs",
                "4",
                "--account-every",
                "2",
                "--set",
                "training.account_rows=40",
                "--out",
                str(run),
                *size,
            ]
        )
        == 0
    )
    return run


def test_the_flag_reaches_the_records_the_report_and_tensorboard(
    from_the_command_line, tmp_path, unhurried
):
    run = jensen.load(from_the_command_line)
    assert (run.config["training"]["account_every"], run.config["training"]["account_rows"]) == (
        2,
        40,
    )
    accounts = accounts_of(run.history)
    assert [a["epoch"] for a in accounts] == [2, 4]
    page = (run.path / "report.html").read_text()
    assert "What the code carries, by epoch" in page
    assert "I(n; z) of 40 training data, at most log 40 = 3.69" in page
    assert {"carried.svg", "carried.png"} <= {p.name for p in (run.path / "figures").iterdir()}
    from tensorboardX.proto.event_pb2 import Event

    raw, values = next((run.path / "tensorboard").glob("events*")).read_bytes(), {}
    while raw:
        size = int.from_bytes(raw[:8], "little")
        event = Event.FromString(raw[12 : 12 + size])
        raw = raw[16 + size :]
        values |= {(v.tag, event.step): v.simple_value for v in event.summary.value}
    assert values["index_information/40_training_data", 4] == pytest.approx(
        accounts[-1]["index_information"]["value"], rel=1e-6
    )
    assert values["log_n/40_training_data", 2] == pytest.approx(np.log(40))
    # Gone on with, the run is watched as it was.
    shutil.copytree(run.path, tmp_path / "again")
    assert cli.run(["fit", "--resume", str(tmp_path / "again"), "--epochs", "6"]) == 0
    assert [a["epoch"] for a in accounts_of(jensen.load(tmp_path / "again").history)] == [2, 4, 6]


def test_the_help_names_the_ceiling(capsys):
    cli.run(["fit", "--help"])
    assert "at most log 1000 = 6.91" in " ".join(capsys.readouterr().out.split())
