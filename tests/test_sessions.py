"""One way through: Python, command line and reproductions refuse, resolve and record alike."""

import inspect
import tomllib
from dataclasses import fields
from typing import Literal, get_args, get_origin

import jax
import numpy as np
import pytest

import jensen
from jensen._rooms import ROOMS, Resolved, Room, source_defaults
from jensen.bounds import ELBO, IWAE, AbstractBound, FDivergence, Renyi
from jensen.config import Config
from jensen.models._parts import _resolve_part
from jensen.priors import Mixture, Vamp
from jensen.reproductions import reproductions
from jensen.sessions import resume_run, start_run
from jensen.training import TrainingOptions
from jensen.training.optimisers import OPTIMISERS
from jensen.training.options import RefittingKeywords, TrainingKeywords, options_from
from jensen.training.schedules import SCHEDULES
from small_runs import KEY, SMALL, binary, leaves

DATA = jensen.load_dataset(binary())


def small_model(**parts):
    parts = {"latent_dim": 2, "network": SMALL, "data": DATA, "key": KEY} | parts
    return jensen.vae(DATA.event_shape, **parts)


def fit(out=None, model=None, **options):
    options = {"epochs": 2, "patience": 0, "progress": False, "key": jax.random.key(7)} | options
    return jensen.fit(model or small_model(), DATA, out=out, **options)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(leaves(first), leaves(second), strict=True))


@pytest.mark.parametrize(
    "choice", ["iwae", {"name": "iwae"}, IWAE, IWAE()], ids=["name", "mapping", "class", "instance"]
)
def test_a_bound_is_chosen_by_name_mapping_class_or_instance(tmp_path, choice):
    reference = fit(bound=IWAE(), num_samples=3)
    fitted = fit(tmp_path / "run", bound=choice, num_samples=3)
    assert same(fitted.model, reference.model)
    run = jensen.load(tmp_path / "run")
    assert run.config["bound"] == {"name": "iwae"}
    assert run.record["by_hand"] == {}
    resumed, _ = resume_run(run, epochs=3, dataset=DATA, progress=False)
    assert len(resumed.history) == 3


def test_no_bound_is_the_default_one():
    assert same(fit(bound=None, gradient=None).model, fit(bound=ELBO(), gradient="pathwise").model)
    signature = inspect.signature(jensen.fit)
    assert signature.parameters["bound"].default == ROOMS["bound"].default
    assert Config().bound == ROOMS["bound"].resolve(ROOMS["bound"].default).section


@pytest.mark.parametrize(
    ("section", "choice", "python", "configuration"),
    [
        (
            "prior",
            {"name": "vamp", "num_components": "many"},
            r"^prior 'vamp': num_components must be a valid integer.*got 'many'\.$",
            r"^prior\.num_components must be a valid integer.*got 'many'\.$",
        ),
        (
            "prior",
            {"name": "vamp", "num_component": 3},
            r"prior 'vamp' has no option 'num_component' \(did you mean 'num_components'\?\)",
            r"prior\.num_component does not exist .*\(did you mean 'num_components'\?\)",
        ),
        (
            "bound",
            {"name": "renyi", "alpha": "half"},
            r"^bound 'renyi': alpha must be a valid number.*got 'half'\.$",
            r"^bound\.alpha must be a valid number.*got 'half'\.$",
        ),
        (
            "bound",
            {"name": "f_divergence", "generator": "hellingr"},
            r"generator must be one of .*hellinger.*; got 'hellingr' \(did you mean 'hellinger'",
            r"bound\.generator must be one of .*hellinger.*; got 'hellingr'",
        ),
        (
            "network",
            {"name": "dense", "hidden": [2.5]},
            r"^network 'dense': hidden must be a valid integer.*",
            r"^network\.hidden must be a valid integer.*",
        ),
    ],
)
def test_python_refuses_what_the_command_line_refuses(section, choice, python, configuration):
    door = fit if section == "bound" else small_model
    with pytest.raises(ValueError, match=python):
        door(**{section: choice})
    with pytest.raises(ValueError, match=configuration):
        Config.read({section: choice})


def test_what_is_no_choice_at_all_is_refused():
    with pytest.raises(ValueError, match=r"bound must be a name, a path .* got 3"):
        ROOMS["bound"].resolve(3)
    with pytest.raises(ValueError, match="a bound given as a mapping needs a 'name'"):
        ROOMS["bound"].resolve({"alpha": 0.5})

    class Own(AbstractBound):
        guarantee = "lower"

        def __call__(self, log_w):
            return log_w.mean()

    with pytest.raises(ValueError, match=r"Own is no bound of jensen.*bound='./mine.py'"):
        ROOMS["bound"].resolve(Own)
    assert ROOMS["bound"].resolve(Own()).by_hand.endswith("Own")


def test_options_have_the_types_of_their_annotations():
    resolve = ROOMS["prior"].resolve
    options = resolve({"name": "vamp", "num_components": np.int64(3)}).options
    assert options["num_components"] == 3
    assert type(options["num_components"]) is int
    hidden = ROOMS["network"].resolve({"name": "dense", "hidden": np.array([3, 4])}).options
    assert hidden["hidden"] == [3, 4]
    assert ROOMS["network"].resolve("dense").options["hidden"] == [300, 300]
    # A reproduction asks for a tuple, and its record has a list.
    only = reproductions.resolve({"name": "vampprior", "only": ["a", "b"]})
    assert only.options["only"] == ("a", "b")
    assert only.section["only"] == ["a", "b"]
    assert resolve(Vamp) == resolve("vamp")
    alpha = ROOMS["bound"].resolve(Renyi(alpha=0.25))
    assert isinstance(alpha, Resolved)
    assert alpha.section == {"name": "renyi", "alpha": 0.25}
    own = ROOMS["bound"].resolve(FDivergence(generator=lambda log_t: -log_t))
    assert "generator = " in own.by_hand


def test_a_part_is_chosen_by_class_and_an_instance_is_refused_with_the_remedy():
    by_class, by_name = small_model(prior=Mixture), small_model(prior="mixture")
    assert same(by_class, by_name)
    assert by_class.recipe.values == by_name.recipe.values
    with pytest.raises(ValueError, match=r"prior must be a name.*jensen\.Model\(prior, encoder"):
        _resolve_part("prior", Mixture(2, key=KEY))


def test_a_mixture_put_into_a_model_by_hand_is_recorded_as_what_it_is(tmp_path):
    built = small_model()
    prior = Mixture(2, key=KEY, num_components=5)
    fit(tmp_path / "run", model=jensen.Model(prior, built.encoder, built.decoder))
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    assert written["model"]["prior"] == "jensen.priors.mixture.Mixture"
    assert "prior" not in written
    by_hand = jensen.load(tmp_path / "run").record["by_hand"]
    assert by_hand["model"].startswith("jensen.priors.mixture.Mixture, ")


@pytest.mark.parametrize("door", ["python", "configuration", "resume"])
def test_every_door_refuses_before_it_writes(tmp_path, door):
    values = {
        "data": {"source": "digits"},
        "network": {"hidden": [4]},
        "bound": {"name": "iwae"},
        "gradient": {"name": "closed_form_kl"},
        "training": {"epochs": 1},
    }
    message = "closed_form_kl"
    if door == "python":
        with pytest.raises(ValueError, match=message):
            fit(tmp_path / "run", bound="iwae", gradient="closed_form_kl", num_samples=2)
    elif door == "configuration":
        with pytest.raises(ValueError, match=message):
            start_run(Config.read(values), tmp_path / "run", overwrite=False, progress=False)
    else:
        fit(tmp_path / "run")
        before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
        run = jensen.load(tmp_path / "run")
        with pytest.raises(ValueError, match=message):
            resume_run(
                run, epochs=3, dataset=DATA, bound="iwae", gradient="closed_form_kl", progress=False
            )
        after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
        assert after == before
        return
    assert not list(tmp_path.iterdir())


def test_the_names_of_earlier_versions_lead_to_the_same_functions():
    import jensen.evaluation
    import jensen.fitting
    import jensen.sessions

    assert jensen.fitting.fit is jensen.fit is jensen.sessions.fit
    assert jensen.fitting.resume_run is jensen.sessions.resume_run
    assert jensen.evaluation.start_run is jensen.sessions.start_run
    assert jensen.evaluation.account_of is jensen.sessions.account_of


def test_the_keywords_of_fit_are_the_training_options():
    defaults = {f.name: f for f in fields(TrainingOptions)}
    keywords = TrainingKeywords.__annotations__
    assert set(keywords) == set(defaults)
    literals = {
        "optimiser": OPTIMISERS,
        "beta_schedule": tuple(SCHEDULES),
        "select_by": ("bound", "elbo"),
    }
    for name, annotation in keywords.items():
        if get_origin(annotation) is Literal:
            assert get_args(annotation) == literals.pop(name)
        else:
            assert annotation == defaults[name].type
    assert not literals
    parameters = inspect.signature(jensen.fit).parameters
    assert [n for n in parameters if n in defaults] == list(defaults)
    for name, field in defaults.items():
        assert parameters[name].default == field.default
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    refused = set(defaults) - set(RefittingKeywords.__annotations__)
    assert refused == {
        *(name for name in defaults if name.startswith(("beta", "account"))),
        "warm_up",
        "checkpoint_seconds",
    }
    with pytest.raises(ValueError, match=r"fit has no option 'epocs' \(did you mean 'epochs'\?\)"):
        options_from({"epocs": 3}, caller="fit")


def test_help_of_fit_shows_options_types_and_defaults(capsys):
    help(jensen.fit)
    out = capsys.readouterr().out
    for text in ("epochs: int = 300", "learning_rate: float = 0.001", "'cyclical'"):
        assert text in out


def test_defaults_of_help_texts_are_those_of_the_classes():
    """They are read in the source, without importing it."""
    from jensen.training import options

    read = source_defaults(__import__("pathlib").Path(options.__file__))
    for field in fields(TrainingOptions):
        assert read[field.name] == field.default
    for room in (*ROOMS.values(), Room("jensen.evidence", "evidence estimator")):
        for name in room.names():
            for option, parameter in room.options(name).items():
                try:
                    default = room.source_default(name, option)
                except KeyError:  # the default is a constant with a name
                    continue
                assert default == parameter.default, (name, option)


def test_no_function_hides_the_module_of_its_name():
    """`import jensen.anatomy.accounting as a` gives a module, and so in every room."""
    import importlib
    import pkgutil
    import types

    for info in pkgutil.walk_packages(jensen.__path__, "jensen."):
        package, _, leaf = info.name.rpartition(".")
        if leaf == "__main__" or package == "jensen":
            continue
        if any(part.startswith("_") for part in info.name.split(".")[1:]):
            continue
        try:
            importlib.import_module(info.name)
        except ValueError:  # a library that is not installed
            continue
        attribute = getattr(importlib.import_module(package), leaf)
        assert isinstance(attribute, types.ModuleType), info.name
