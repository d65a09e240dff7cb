"""Which bound goes with which gradient estimator, and the words that the others are refused with."""

import numpy as np
import pytest
from jax import random as jr

from gradients._pairs import PAIRS, TRUTH, build, estimates, estimator_of
from jensen.model import Model
from jensen.models.vae import vae

REPARAMETERISED, ANY = {"pathwise", "doubly_reparameterised"}, {"score_function", "vimco"}
EXPECTED = {
    "elbo": REPARAMETERISED | ANY | {"closed_form_kl", "free_bits", "sticking_the_landing"},
    **dict.fromkeys(("iwae", "ciwae", "renyi", "f_divergence"), REPARAMETERISED | ANY),
    **{bound: REPARAMETERISED | {"vimco"} for bound in ("miwae", "piwae")},
    **{bound: {"wake"} for bound in ("eubo", "cubo")},
}


def test_the_valid_pairs_are_these_and_no_others():
    assert set(PAIRS) == {
        (bound, gradient) for bound, names in EXPECTED.items() for gradient in names
    }


def test_an_invalid_pair_is_refused_with_the_reason_and_the_valid_ones():
    for bound, gradient, num_samples, words in [
        (
            "iwae",
            "closed_form_kl",
            6,
            ["no term of it has a closed form", "--gradient pathwise", "--gradient vimco"],
        ),
        (
            "iwae",
            "sticking_the_landing",
            6,
            [
                "biased for the IWAE bound",
                "Valid here: --gradient doubly_reparameterised, --gradient pathwise",
            ],
        ),
        (
            "eubo",
            "pathwise",
            6,
            ["EUBO bound is not trained by it", "Valid here: --gradient wake."],
        ),
        (
            "elbo",
            "wake",
            6,
            ["divergence of the posterior from q", "--bound eubo", "--gradient pathwise"],
        ),
        (
            "elbo",
            "score_function",
            1,
            ["at least 2 samples per datum (--num-samples); got 1", "--gradient pathwise"],
        ),
        ("iwae", "vimco", 1, ["at least 2 samples per datum", "got 1"]),
        ("miwae", "score_function", 6, ["not defined for 5", "--gradient vimco"]),
        ("miwae", "pathwise", 7, ["3 divides", "--num-samples 24", "got 7"]),
        ("piwae", "pathwise", 1, ["3 divides", "got 1"]),
        (
            "cubo",
            "pathwise",
            6,
            ["CUBO bound is not trained by it", "Valid here: --gradient wake."],
        ),
        ("cubo", "wake", 1, ["bound cubo needs at least 2 samples", "got 1"]),
        ("eubo", "wake", 1, ["at least 2 samples", "got 1"]),
        ("elbo", "pathwise", 0, ["at least 1; got 0"]),
    ]:
        with pytest.raises(ValueError) as refused:
            estimator_of(gradient).check(build(bound), TRUTH.model, num_samples)
        for word in words:
            assert word in str(refused.value)


VALID_MODEL = {"latent_dim": 2, "network": {"name": "dense", "hidden": (4,)}}


@pytest.mark.parametrize(
    ("gradient", "bound", "prior", "num_samples", "message"),
    [
        (
            "closed_form_kl",
            "iwae",
            "standard_normal",
            1,
            "closed_form_kl: the IWAE bound is not an average of log w.*it is for the elbo. Valid here: .*--gradient pathwise",
        ),
        (
            "closed_form_kl",
            "elbo",
            "vamp",
            1,
            "no closed form of KL.*for the vamp prior. Valid here: .*--gradient pathwise",
        ),
        (
            "closed_form_kl",
            "elbo",
            "mixture",
            1,
            "no closed form of KL.*for the mixture prior. Valid here: .*--gradient pathwise",
        ),
        ("closed_form_kl", "elbo", "standard_normal", 0, "num_samples must be at least 1; got 0"),
        ("pathwise", "iwae", "vamp", 0, "num_samples must be at least 1; got 0"),
    ],
)
def test_combinations_that_are_not_valid_are_refused_with_reason_and_remedy(
    gradient, bound, prior, num_samples, message
):
    prior = {"name": prior} | ({} if prior == "standard_normal" else {"num_components": 3})
    model = vae((3,), prior=prior, key=jr.key(0), **VALID_MODEL)
    with pytest.raises(ValueError, match=message):
        estimator_of(gradient).check(build(bound), model, num_samples)


def test_a_model_put_together_by_hand_is_refused_too():
    made = vae((3,), prior={"name": "mixture", "num_components": 3}, key=jr.key(0), **VALID_MODEL)
    by_hand = Model(made.prior, made.encoder, made.decoder)
    with pytest.raises(ValueError, match=r"no closed form of KL.*for the Mixture prior."):
        estimates(by_hand, "elbo", "closed_form_kl", jr.key(0), x=np.zeros((2, 3), np.float32))
