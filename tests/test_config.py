"""The configuration: typed, resolved, and clear about what is wrong."""

import tomllib

import pytest

from jensen.config import Config, assignments, merge, read_toml


def test_every_default_is_filled_in_and_survives_toml():
    config = Config.read(
        {"prior": {"name": "vamp", "num_components": 20}, "training": {"epochs": 50}}
    )
    assert config.prior == {"name": "vamp", "num_components": 20, "learn_weights": False} | {
        "initialise": "random",
        "initial_mean": None,
        "initial_spread": None,
        "onto_range": "sigmoid",
    }
    assert config.training.warm_up == 10  # a fifth of the epochs
    assert config.network["hidden"] == [300, 300]
    assert Config.read(tomllib.loads(config.to_toml())) == config


def test_a_part_s_own_network_takes_what_it_does_not_say_from_the_one_of_both():
    config = Config.read({"network": {"hidden": [40]}, "decoder_network": {"activation": "tanh"}})
    assert config.decoder_network == {"name": "dense", "hidden": [40], "activation": "tanh"}
    assert config.encoder_network is None
    assert "encoder_network" not in tomllib.loads(config.to_toml())
    assert Config.read(tomllib.loads(config.to_toml())) == config
    other = Config.read(
        assignments(
            [
                "encoder_network.name=gated_conv",
                "encoder_network.channels=[4, 2]",
                "network.hidden=[40]",
            ]
        )
    )
    assert other.encoder_network == {
        "name": "gated_conv",
        "channels": [4, 2],
        "kernels": [7, 3, 5, 3, 3],
        "strides": [1, 2, 1, 2, 1],
    }
    assert other.network["hidden"] == [40]
    with pytest.raises(
        ValueError,
        match=r"encoder_network.hidden does not exist for the network 'gated_conv'; it has: channels, kernels, strides",
    ):
        Config.read({"encoder_network": {"name": "gated_conv", "hidden": [3]}})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prior": {"name": "vampp"}}, r"unknown prior 'vampp' \(did you mean 'vamp'\?\)"),
        (
            {"prior": {"name": "vamp", "num_component": 5}},
            r"prior.num_component does not exist.*did you mean 'num_components'",
        ),
        (
            {"prior": {"name": "vamp", "num_components": "many"}},
            r"prior.num_components must be a valid integer.*got 'many'",
        ),
        (
            {"prior": {"name": "vamp", "onto_range": "hard"}},
            r"prior.onto_range must be one of sigmoid, clip; got 'hard'",
        ),
        ({"trainning": {}}, r"key 'trainning' does not exist \(did you mean 'training'\?\)"),
        (
            {"training": {"epoch": 5}},
            r"key 'training.epoch' does not exist \(did you mean 'epochs'\?\)",
        ),
        ({"training": {"epochs": 0}}, r"epochs must be at least 1; got 0"),
        ({"training": {"learning_rate": -1.0}}, r"learning_rate must be positive.*got -1.0"),
        ({"model": {"latent_dim": 0}}, r"model.latent_dim: .*greater than or equal to 1; got 0"),
        ({"data": {"binarise": "maybe"}}, r"data.binarise: .*'none', 'dynamic' or 'threshold'"),
        ({"seed": -1}, r"seed: .*got -1"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(values, message):
    with pytest.raises(ValueError, match=message):
        Config.read(values)


def test_assignments_are_read_as_toml_and_win():
    given = assignments(
        [
            "prior.num_components=200",
            "prior.initialise=data",
            "network.hidden=[64, 64]",
            "training.beta=0.5",
        ]
    )
    assert given == {
        "prior": {"num_components": 200, "initialise": "data"},
        "network": {"hidden": [64, 64]},
        "training": {"beta": 0.5},
    }
    assert merge({"prior": {"name": "vamp", "num_components": 5}}, given)["prior"] == {
        "name": "vamp",
        "num_components": 200,
        "initialise": "data",
    }
    with pytest.raises(ValueError, match=r"section\.key=value"):
        assignments(["prior.num_components"])


def test_another_name_drops_the_options_of_the_first():
    assert merge(
        {"prior": {"name": "vamp", "num_components": 5}}, {"prior": {"name": "mixture"}}
    ) == {"prior": {"name": "mixture"}}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(ValueError, match="no such configuration file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("seed = = 3")
    with pytest.raises(ValueError, match=r"bad.toml is not TOML.*line 1"):
        read_toml(tmp_path / "bad.toml")
