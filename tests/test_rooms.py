"""Rooms: names are files, options are keyword-only arguments with defaults, and every refusal names what would do."""

import textwrap

import jax.numpy as jnp
import pytest

from jensen._rooms import Room, nearest
from jensen.priors import priors
from user_code import PRIOR


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_names_are_the_files_and_each_holds_the_class_of_that_name():
    assert {"mixture", "standard_normal", "vamp"} <= set(priors.names())
    for name in priors.names():
        assert priors.find(name).__name__.lower() == name.replace("_", "")


def test_members_are_files_and_folders_with_an_init_file(tmp_path):
    for path in ("file.py", "_private.py", "__init__.py", "folder/__init__.py", "folder/part.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    for path in ("_private_folder/__init__.py", "__pycache__/__init__.py", "data/table.csv"):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).touch()
    room = Room("jensen.priors", "prior")
    room._folder = tmp_path
    assert room.names() == ("file", "folder")


def test_a_folder_holds_the_class_of_its_name():
    from jensen.reproductions import reproductions

    assert reproductions.names() == (
        "divergences",
        "iwae",
        "posteriordb",
        "prior_ladder",
        "temperature",
        "vampprior",
    )
    for name in reproductions.names():
        assert reproductions.find(name).__name__.lower() == name.replace("_", "")


def test_the_package_gives_every_class_by_its_name_and_lists_them():
    import jensen.priors

    assert jensen.priors.Vamp is priors.find("vamp")
    assert {"Mixture", "StandardNormal", "Vamp"} <= set(dir(jensen.priors))
    with pytest.raises(AttributeError, match="no attribute 'Vmap'"):
        _ = jensen.priors.Vmap


def test_options_are_those_with_a_default():
    assert {k: p.default for k, p in priors.options("vamp_data").items()} == {
        "num_components": 500,
        "learn_weights": False,
    }
    assert {k: p.default for k, p in priors.options("standard_normal").items()} == {"scale": 1.0}
    assert priors.options("aggregated") == {}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "vmap",
            r"unknown prior 'vmap' \(did you mean 'vamp'\?\); known: aggregated, bernoulli, categorical, flow, mixture, ",
        ),
        ("qqqq", r"unknown prior 'qqqq'; known: aggregated, bernoulli, categorical, flow, mixture"),
        ("missing.py", r"no such file: missing.py. A name ending in .py is read as a path"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name, message):
    with pytest.raises(ValueError, match=message):
        priors.find(name)


def test_nearest_offers_only_what_is_close():
    assert nearest("nun_samples", ("num_samples", "beta")) == " (did you mean 'num_samples'?)"
    assert nearest("zzz", ("num_samples", "beta")) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"num_component": 3},
            r"prior 'vamp' has no option 'num_component' \(did you mean 'num_components'\?\); its options: num_components, initialise",
        ),
        ({"latent_dim": 3}, "has no option 'latent_dim'"),
        (
            {"onto_range": "clipp"},
            r"onto_range must be one of sigmoid, clip; got 'clipp' \(did you mean 'clip'\?\)",
        ),
    ],
)
def test_a_wrong_option_is_refused_with_those_there_are(options, message):
    with pytest.raises(ValueError, match=message):
        priors.build("vamp", options, {})


def test_context_that_is_not_there_is_named():
    with pytest.raises(
        ValueError,
        match="asks for likelihood, data, which is not to be had here; available: event_shape, key",
    ):
        priors.build("vamp", {}, {"event_shape": (3,), "key": None})
    with pytest.raises(
        ValueError, match="prior 'aggregated' has no option 'num_components'; its options: none"
    ):
        priors.build("aggregated", {"num_components": 3}, {"latent_dim": 2})


def test_a_users_file_is_a_member_with_options(tmp_path):
    path = write(tmp_path / "shifted.py", PRIOR)
    assert set(priors.options(path)) == {"by"}
    assert priors.build(path, {"by": 3.0}, {"latent_dim": 2, "unused": 1})(None).log_prob(
        jnp.full(2, 3.0)
    ) == pytest.approx(-1.8378770)
    with pytest.raises(ValueError, match=r"has no option 'bye' \(did you mean 'by'\?\)"):
        priors.build(path, {"bye": 3.0}, {"latent_dim": 2})


def test_a_file_that_was_changed_is_read_again(tmp_path):
    path = write(tmp_path / "shifted.py", PRIOR)
    first = priors.find(path)
    assert priors.find(path) is first
    write(tmp_path / "shifted.py", PRIOR.replace("by: float = 1.0", "by: float = 5.0"))
    assert priors.options(path)["by"].default == 5.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PRIOR + "class Second(Shifted):\n    pass\n",
            "exactly one public class derived from AbstractPrior of jensen.priors; found: Shifted, Second",
        ),
        ("x = 1\n", "exactly one public class derived from AbstractPrior.*found: none"),
        ("class Loose:\n    pass\n", "found: none"),
        ("from jensen.priors.vamp import Vamp\n", "found: none"),
        ("1 / 0\n", "could not be run: ZeroDivisionError: division by zero"),
        ("def broken(:\n", "could not be run: SyntaxError"),
        (
            "import no_such_module_anywhere\n",
            "could not be run: ModuleNotFoundError.*no_such_module_anywhere",
        ),
    ],
)
def test_a_users_file_that_will_not_do_is_refused_with_the_reason(tmp_path, text, message):
    path = write(tmp_path / "mine.py", text)
    for _ in range(2):  # a failed import must not leave half a module behind
        with pytest.raises(ValueError, match=message):
            priors.find(path)


def test_abstract_and_private_classes_do_not_count(tmp_path):
    text = PRIOR.replace(
        "class Shifted",
        "class _Base(AbstractPrior):\n    pass\n\n\nclass AbstractMine(AbstractPrior):\n    pass\n\n\nclass Shifted",
    )
    assert priors.find(write(tmp_path / "mine.py", text)).__name__ == "Shifted"


def test_every_room_finds_a_class_for_each_of_its_names():
    for room in (
        "bounds",
        "decoders",
        "encoders",
        "gradients",
        "likelihoods",
        "networks",
        "priors",
    ):
        members = Room(f"jensen.{room}", room)
        assert members.names()
        assert len({members.find(name) for name in members.names()}) == len(members.names())
