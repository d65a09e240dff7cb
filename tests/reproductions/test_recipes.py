"""Every shipped recipe is a configuration of `jensen fit` with the settings of its publication."""

import pytest

from jensen import cli
from jensen.config import Config
from jensen.datasets import sources
from jensen.reproductions._recipes import choose, recipes

VAMPPRIOR = recipes("vampprior")
IWAE = recipes("iwae")
ALL = [
    (group, recipe) for group in ("iwae", "vampprior", "prior_ladder") for recipe in recipes(group)
]


@pytest.mark.parametrize(("group", "recipe"), ALL, ids=[f"{g}/{r.name}" for g, r in ALL])
def test_a_recipe_resolves_against_the_rooms(group, recipe):
    values = recipe.values()
    config = Config.read(values)
    sources.find(config.data.source)
    resolved = config.model_dump()
    # Nothing in the file is lost or changed on the way.
    for section, keys in values.items():
        for key, value in keys.items():
            assert resolved[section][key] == value, f"{section}.{key}"


@pytest.mark.parametrize("recipe", VAMPPRIOR, ids=[r.name for r in VAMPPRIOR])
def test_recipes_have_the_authors_models_our_schedule_and_published_figures(recipe):
    data, model, prior = recipe.name.split("-")
    values = recipe.values()
    assert (
        values["data"]["source"],
        values["model"].get("name", "vae"),
        values["prior"]["name"],
    ) == (data, "vae" if model == "vae" else "hvae", prior)
    # The schedule is ours, and each file names theirs.
    if data == "caltech101":
        expected = {
            "epochs": 300,
            "batch_size": 100,
            "learning_rate": 3e-4,
            "warm_up": 0,
            "patience": 50,
        }
    else:
        expected = {
            "epochs": 400,
            "batch_size": 200,
            "learning_rate": 1e-3,
            "warm_up": 50,
            "cool_down": 300,
            "patience": 0,
        }
    assert values["training"] == expected
    comments = " ".join(recipe.path.read_text().replace("\n# ", " ").split())
    assert (
        "The schedule is ours. The authors' is epochs = 2000, batch_size = 100, learning_rate = "
        '5e-4, optimiser = "adam_norm_grad"' in comments
    )
    assert values["network"] == {"name": "gated_dense", "hidden": [300, 300]}
    assert values["model"]["latent_dim"] == (40 if model == "vae" else [40, 40])
    assert ("encoder_network" in values) == (model == "convhvae")
    assert values["account"]["num_samples"] == 5000
    assert values["prior"].get("num_components") == (500 if prior == "vamp" else None)
    assert recipe.published[-1].source == "original"
    assert len(recipe.published) == (2 if data == "mnist" else 1)
    # A figure from memory is never the one to compare with where another was read.
    assert recipe.published[0].basis == ("read" if data == "mnist" else recipe.published[-1].basis)


def test_every_combination_is_there_and_the_vampprior_is_published_as_the_better_one():
    names = {
        f"{d}-{m}-{p}"
        for d in ("mnist", "static_mnist", "omniglot", "caltech101")
        for m in ("vae", "hvae")
        for p in ("standard_normal", "vamp")
    }
    names |= {
        f"{d}-convhvae-{p}" for d in ("mnist", "caltech101") for p in ("standard_normal", "vamp")
    }
    assert {r.name for r in VAMPPRIOR} == names
    first = {r.name: r.published[0].value for r in VAMPPRIOR}
    assert all(
        first[name] > first[name.replace("vamp", "standard_normal")]
        for name in names
        if name.endswith("-vamp")
    )


@pytest.mark.parametrize("recipe", IWAE, ids=[r.name for r in IWAE])
def test_recipes_have_the_settings_of_burda_and_others(recipe):
    _, layers, kind, k = recipe.name.split("-")
    config = Config.read(recipe.values())
    widths = {"1layer": (50, [200, 200]), "2layer": ([100, 50], [100, 100])}
    assert (config.model.latent_dim, config.network["hidden"]) == widths[layers]
    assert (config.model.name, config.network["activation"]) == (
        {"1layer": "vae", "2layer": "markov"}[layers],
        "tanh",
    )
    for own in (config.encoder_network, config.decoder_network):
        assert (own is None) == (layers == "1layer")
        assert own is None or own == {"name": "dense", "hidden": [200, 200], "activation": "tanh"}
    assert config.bound["name"] == ("elbo" if kind == "vae" else "iwae")
    assert config.gradient["name"] == ("doubly_reparameterised" if kind == "dreg" else "pathwise")
    training = config.training
    assert (
        training.num_samples,
        training.batch_size,
        training.epochs,
        training.warm_up,
        training.patience,
    ) == (int(k[1:]), 20, 3280, 0, 0)
    assert (
        training.learning_rate,
        training.rate_stages,
        training.adam_epsilon,
        training.cool_down,
    ) == (1e-3, 8, 1e-4, 0)
    assert config.account.num_samples == 5000


def test_every_row_of_the_iwae_tables_is_there_and_published_in_the_order_that_is_claimed():
    from jensen.reproductions.iwae import CLAIMS

    figures = {r.name: r.published[0] for r in IWAE}
    assert len(figures) == 12 and all(f.basis == "second-hand" for f in figures.values())
    for better, worse in CLAIMS:
        assert figures[better].value > figures[worse].value
    assert figures["mnist-1layer-iwae-k50"].details == {
        "active": "25",
        "active_basis": "second-hand",
    }


def test_a_recipe_whose_parts_do_not_exist_fails_as_any_configuration_does(tmp_path, capsys):
    path = tmp_path / "r.toml"
    text = choose("vampprior", ("mnist-vae-vamp",))[0].path.read_text()
    for old, new, message in [
        (
            'source = "mnist"',
            'source = "mnits"',
            "unknown data set 'mnits' (did you mean 'mnist'?)",
        ),
        ('name = "vamp"', 'name = "vmap"', "unknown prior 'vmap' (did you mean 'vamp'?)"),
        (
            "learning_rate = 1e-3",
            'optimiser = "adam_norm_grda"',
            (
                "unknown optimiser 'adam_norm_grda' (did you mean 'adam_norm_grad'?); known: adam, "
                "adam_norm_grad"
            ),
        ),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        assert cli.run(["fit", "--config", str(path), "--out", str(tmp_path / "run")]) == 2
        assert message in capsys.readouterr().err
        assert not (tmp_path / "run").exists()


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError,
        match=r"no recipe 'mnist-vae-vmap' \(did you mean 'mnist-vae-vamp'\?\); its recipes: "
        r"mnist-vae-standard_normal",
    ):
        choose("vampprior", ("mnist-vae-vmap",))
