"""What an account suggests comes from the class that is there, and names what exists."""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest

import linear_gaussian
from jensen.anatomy import account
from jensen.anatomy.remedy_ceilings import better_prior, richer_posterior
from jensen.distributions import BIJECTIONS
from jensen.encoders import AbstractEncoder, encoders
from jensen.priors import AbstractPrior, priors


@pytest.fixture(scope="module")
def acc():
    model = linear_gaussian.make(latent=1)
    x = model.data(12, seed=0).astype(np.float32)
    return account(model.model, x, key=jax.random.key(0), num_samples=20, num_draws=2)


def check(text: str, own: str, section: str, room) -> None:
    """Every member and option that a remedy names is there."""
    for part in re.split(r"; | or ", text):
        named = re.findall(r"--(?:try|prior) (\w+)|encoder\.name=(\w+)", part)
        members = [a or b for a, b in named] or [own]
        assert set(members) <= {*room.names(), ""}, text
        for option in re.findall(rf"{section}\.(\w+)=", part):
            assert option == "name" or option in room.options(members[0]), text


@pytest.mark.parametrize("name", priors.names())
def test_the_remedies_of_a_prior_are_its_class_s_and_name_what_exists(acc, name):
    cls = priors.find(name)
    refit = better_prior(replace(acc, prior=name, can_try_prior=True))
    assert refit == f"before retraining, {cls.refit_remedy} (jensen.try_prior)"
    retrain = better_prior(replace(acc, prior=name, can_try_prior=False))
    assert retrain == cls.retrain_remedy
    for text in (cls.refit_remedy, cls.retrain_remedy):
        check(text, name, "prior", priors)
    assert "--try" in cls.refit_remedy and "--try" not in cls.retrain_remedy
    ceilings = {c.line: c.remedy for c in replace(acc, prior=name, can_try_prior=False).ceilings}
    assert ceilings["marginal_kl"] == cls.retrain_remedy


@pytest.mark.parametrize("name", encoders.names())
def test_the_remedies_of_an_encoder_are_its_class_s_and_name_what_exists(acc, name):
    cls = encoders.find(name)
    assert richer_posterior(replace(acc, encoder=name)) == cls.richer_remedy
    check(cls.richer_remedy, name, "encoder", encoders)
    assert cls.closed_under in BIJECTIONS


def test_the_usual_member_of_each_kind_of_codes_is_one():
    for room in (priors, encoders):
        kinds = [room.find(name).usual_for for name in room.names()]
        assert sorted(kind for kind in kinds if kind) == ["binary", "continuous", "one-hot"]


def test_code_from_elsewhere_is_not_imported_for_its_remedy(acc, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit('imported')\n")
    theirs = replace(acc, prior=str(path), encoder=str(path), can_try_prior=False)
    assert better_prior(theirs) == AbstractPrior.retrain_remedy
    assert richer_posterior(theirs) == AbstractEncoder.richer_remedy
