"""What a training from Python records: what was trained, and no other model, data set or seed."""

import subprocess
import sys
import tomllib
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jensen
from jensen._rooms import ROOMS
from jensen.bounds import AbstractBound, FDivergence
from jensen.cli.fit import _read_config
from jensen.config import Config
from jensen.gradients import FreeBits
from jensen.runs import RunError
from jensen.sessions import resume_run
from jensen.sessions.setup import _seed_of
from small_runs import KEY, SMALL, binary, leaves

DATA = jensen.load_dataset(binary())


class Shifted(AbstractBound):
    """A bound of one's own."""

    guarantee: ClassVar[Literal["lower", "consistent"]] = "lower"
    by: float = 0.5

    def __call__(self, log_w):
        return jnp.mean(log_w) - self.by


def reverse_kl(log_t):
    return -log_t


def small_model(key=KEY):
    return jensen.vae(DATA.event_shape, latent_dim=2, network=SMALL, data=DATA, key=key)


def fit(out, model=None, epochs=2, **options):
    options = {"patience": 0, "progress": False, "key": jax.random.key(7)} | options
    return jensen.fit(model or small_model(), DATA, epochs=epochs, out=out, **options)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(leaves(first), leaves(second), strict=True))


@pytest.mark.parametrize(
    ("bound", "section", "description"),
    [
        (
            Shifted(by=0.25),
            {"name": f"{__name__}.Shifted", "by": 0.25},
            rf"the bound of .* was put together in Python \({__name__}.Shifted\)",
        ),
        (
            FDivergence(generator=reverse_kl),
            {"name": "f_divergence", "generator": f"{__name__}.reverse_kl"},
            rf"Python \(f_divergence with generator = {__name__}.reverse_kl\)",
        ),
    ],
)
def test_a_bound_that_no_configuration_describes(tmp_path, bound, section, description):
    fitted = fit(tmp_path / "run", bound=bound, num_samples=3)
    run = jensen.load(tmp_path / "run")
    assert run.config["bound"] == section
    assert run.config["prior"]["name"] == "standard_normal"
    assert same(run.model, fitted.model)
    straight = fit(None, bound=bound, num_samples=3, epochs=4, warm_up=0)
    with pytest.raises(RunError, match=description + r".*resume_run\(.*bound=\.\.\.\)"):
        resume_run(run, epochs=4, dataset=DATA, progress=False)
    assert len(jensen.load(tmp_path / "run").history) == 2
    resumed, _ = resume_run(run, epochs=4, dataset=DATA, bound=bound, progress=False)
    assert same(resumed.last, straight.last)
    # No configuration of another bound comes of it.
    with pytest.raises(ValueError, match=r"unknown bound|generator"):
        Config.read(_read_config(tmp_path / "run" / "config.toml", False))


def test_a_bound_of_a_room_is_recorded_with_its_options(tmp_path):
    gradient, bound = FreeBits(floor=0.5), FDivergence(generator="hellinger")
    resolved = ROOMS["bound"].resolve(bound)
    assert resolved.section == {"name": "f_divergence", "generator": "hellinger"}
    assert resolved.by_hand == ""
    fit(tmp_path / "run", gradient=gradient)
    run = jensen.load(tmp_path / "run")
    assert run.record["by_hand"] == {}
    assert run.config["gradient"]["name"] == "free_bits"
    assert run.config["gradient"]["floor"] == 0.5
    assert run.record["objective"] == gradient.objective != ""
    resumed, _ = resume_run(run, epochs=3, dataset=DATA, progress=False)
    assert len(resumed.history) == 3


def test_a_model_put_together_by_hand_is_recorded_as_what_it_is(tmp_path):
    built = small_model()
    by_hand = jensen.Model(built.prior, built.encoder, built.decoder)
    fitted = fit(tmp_path / "run", model=by_hand)
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert written["model"] == {
        "name": "by_hand",
        "prior": "jensen.priors.standard_normal.StandardNormal",
        "encoder": "jensen.encoders.diagonal_normal.DiagonalNormal",
        "decoder": "jensen.decoders.feedforward.Feedforward",
    }
    assert not {"prior", "likelihood", "encoder", "decoder", "network"} & written.keys()
    assert written["training"]["epochs"] == 2
    run = jensen.load(tmp_path / "run")
    with pytest.raises(RunError, match="put together by hand; jensen cannot rebuild it"):
        _ = run.model
    with pytest.raises(
        RunError, match=r"the model of .* was put together in Python .*model=\.\.\."
    ):
        resume_run(run, epochs=3, dataset=DATA, progress=False)
    with pytest.raises(ValueError, match="model that was put together in Python"):
        Config.read(_read_config(tmp_path / "run" / "config.toml", False))
    straight = fit(None, model=by_hand, epochs=4, warm_up=0)
    blank = small_model(jax.random.key(5))
    blank = jensen.Model(blank.prior, blank.encoder, blank.decoder)
    resumed, _ = resume_run(run, epochs=4, dataset=DATA, model=blank, progress=False)
    assert same(resumed.last, straight.last)
    assert not same(resumed.last, fitted.last)


def test_the_seed_is_the_keys_or_none(tmp_path):
    for seed in (0, 7, 2**31 + 5):
        assert _seed_of(jax.random.key(seed)) == seed
    assert _seed_of(jax.random.split(jax.random.key(7))[0]) is None
    assert _seed_of(jax.random.key(7, impl="rbg")) is None
    fit(tmp_path / "run", key=jax.random.PRNGKey(3), epochs=1)
    run = jensen.load(tmp_path / "run")
    assert run.config["seed"] == 3
    assert run.record["key"] == [0, 3]
    assert run.config["data"] == {"source": DATA.name}  # how it was split is not made up
    split = jax.random.split(jax.random.key(7))[0]
    fit(tmp_path / "run", key=split, epochs=1, overwrite=True)
    assert "seed" not in jensen.load(tmp_path / "run").config


REFUSED = [
    ({"epochs": 2.5}, "epochs must be a whole number; got 2.5."),
    ({"epochs": "3"}, "epochs must be a whole number; got '3'."),
    ({"epochs": True}, "epochs must be a whole number; got True."),
    ({"epochs": float("nan")}, "epochs must be a whole number; got nan."),
    ({"epochs": float("inf")}, "epochs must be a whole number; got inf."),
    ({"warm_up": 0.5}, "warm_up must be a whole number; got 0.5."),
    ({"learning_rate": "fast"}, "learning_rate must be a number; got 'fast'."),
    ({"epochs": 3.0, "learning_rate": 1}, "3 1.0"),
]
SCRIPT = """
from jensen.training import TrainingOptions
nan, inf = float("nan"), float("inf")
for options in {options}:
    try:
        made = TrainingOptions(**options)
        print(made.epochs, made.learning_rate)
    except ValueError as error:
        print(error)
"""


def test_numbers_of_another_kind_are_refused_in_python_too():
    """In a process of its own: tests check the types of all arguments, and people's programs do
    not."""
    script = SCRIPT.format(options=[options for options, _ in REFUSED])
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert process.stdout.splitlines() == [message for _, message in REFUSED], process.stderr


@pytest.mark.parametrize("options", [{"epochs": 0}, {"epoch": 3}, {"bound": Shifted(), "beta": -1}])
def test_what_is_refused_leaves_no_folder(tmp_path, options):
    with pytest.raises(ValueError, match=r"must be at least|no option 'epoch'"):
        fit(tmp_path / "run", **options)
    assert not list(tmp_path.iterdir())
