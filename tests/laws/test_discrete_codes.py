"""Laws of every prior and posterior over discrete codes, against sums over all codes in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from numpyro.distributions.kl import kl_divergence

from discrete import CLASSES, DISCRETE, all_codes, exact_model, small_vae, table
from jensen._parameters import partition
from jensen.bounds import bounds
from jensen.decoders import decoders
from jensen.distributions import Bernoulli, OneHotCategorical, code_kind, point_code
from jensen.encoders import encoders
from jensen.evidence import estimate_evidence
from jensen.evidence.importance import Importance
from jensen.models.hvae import hvae
from jensen.models.vae import vae
from jensen.priors import priors
from jensen.weights import log_weights

X = np.random.default_rng(0).integers(0, 2, (6, 3)).astype(np.uint8)
every_kind = pytest.mark.parametrize("name", DISCRETE)
prior_and_posterior = pytest.mark.parametrize("which", ["prior", "posterior"])


def distribution(name, which, *, variables=3):
    model = small_vae(name, variables=variables)
    return model.prior(model.encoder) if which == "prior" else model.encoder(jnp.asarray(X[0]))


def probabilities(name, logits):
    """Of all codes, as products over the variables, in NumPy."""
    logits = np.asarray(logits, np.float64)
    logits = np.stack([np.zeros_like(logits), logits], -1) if name == "bernoulli" else logits
    each = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    one_hot = all_codes(name, len(logits)).reshape(
        -1, len(logits), CLASSES[name] if name == "categorical" else 1
    )
    one_hot = np.concatenate([1 - one_hot, one_hot], -1) if name == "bernoulli" else one_hot
    return np.prod(np.sum(one_hot * each, axis=-1), axis=1)


@every_kind
@prior_and_posterior
def test_probabilities_are_those_of_the_variables_and_samples_have_them(x64, name, which):
    p = distribution(name, which)
    codes = all_codes(name, 3)
    probability = np.exp(np.asarray(jax.vmap(p.log_prob)(jnp.asarray(codes))))
    np.testing.assert_allclose(probability, probabilities(name, p.logits), rtol=1e-12)
    assert probability.sum() == pytest.approx(1, abs=1e-12)
    n = 40_000
    drawn = np.asarray(jax.vmap(p.sample)(jr.split(jr.key(1), n)))
    assert drawn.dtype == np.float64
    counts = (drawn[:, None] == codes[None]).all(-1).sum(0)
    assert counts.sum() == n  # nothing but codes
    assert (
        np.abs(counts - n * probability) < 5 * np.sqrt(n * probability * (1 - probability)) + 1
    ).all()
    np.testing.assert_allclose(
        p.log_prob(jnp.asarray(codes)), np.log(probability), rtol=1e-10
    )  # leading axes
    assert p.sample(jr.key(2), (2, 5)).shape == (2, 5, codes.shape[1])


@every_kind
@prior_and_posterior
def test_the_mean_is_that_of_the_codes_the_mode_the_most_probable_and_nothing_is_reparameterised(
    x64, name, which
):
    p = distribution(name, which)
    codes = all_codes(name, 3)
    probability = probabilities(name, p.logits)
    np.testing.assert_allclose(p.mean, probability @ codes, atol=1e-14)
    np.testing.assert_array_equal(point_code(p), codes[probability.argmax()])
    assert p.event_dim == 1
    assert not p.has_rsample
    assert jnp.all(p.support(jnp.asarray(codes)))
    assert not p.support(jnp.full(codes.shape[1], 0.5))
    assert code_kind(p).split()[0] == {"bernoulli": "binary", "categorical": "one-hot"}[name]


@every_kind
def test_derivatives_of_log_probabilities_are_those_of_finite_differences(x64, name):
    p = distribution(name, "posterior")
    code = jnp.asarray(all_codes(name, 3)[5])
    value = lambda logits: type(p)(logits).log_prob(code)  # noqa: E731
    direction = jr.normal(jr.key(3), p.logits.shape)
    numeric = (value(p.logits + 1e-5 * direction) - value(p.logits - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.sum(jax.grad(value)(p.logits) * direction), numeric, rtol=1e-8)


@every_kind
def test_kl_is_the_sum_over_all_codes(x64, name):
    q, p = distribution(name, "posterior"), distribution(name, "prior")
    a, b = probabilities(name, q.logits), probabilities(name, p.logits)
    assert float(kl_divergence(q, p)) == pytest.approx(np.sum(a * np.log(a / b)), rel=1e-12)
    assert float(kl_divergence(q, q)) == pytest.approx(0, abs=1e-14)


@every_kind
def test_kl_and_log_probabilities_of_near_certain_codes_are_finite_in_float32(name):
    certain = jnp.array([200.0, -200.0, 40.0])
    logits = certain if name == "bernoulli" else certain[:, None] * jnp.array([1.0, 0.0, -1.0])
    made = {"bernoulli": Bernoulli, "categorical": OneHotCategorical}[name]
    q, p = made(logits), made(jnp.zeros_like(logits))
    assert float(kl_divergence(q, p)) == pytest.approx(3 * np.log(CLASSES[name]), rel=1e-6)
    assert float(q.log_prob(point_code(q))) == pytest.approx(0, abs=1e-6)
    assert np.isfinite(jax.grad(lambda a: kl_divergence(made(a), p))(logits)).all()


@every_kind
def test_priors_start_uniform_and_stay_so_where_asked(x64, name):
    codes = jnp.asarray(all_codes(name, 3))
    for options, trained in [({}, codes.shape[1]), ({"learn_logits": False}, 0)]:
        prior = priors.build(name, options, {"latent_dim": 3, "code_size": codes.shape[1]})
        np.testing.assert_allclose(
            prior(lambda x: x).log_prob(codes), -3 * np.log(CLASSES[name]), rtol=1e-12
        )
        assert sum(leaf.size for leaf in jax.tree.leaves(partition(prior).parameters)) == trained


@every_kind
def test_evidence_by_importance_sampling_is_the_sum_over_all_codes(x64, name):
    model = small_vae(name, variables=5, by=0.3)
    exact = table(model, name, 5, X)
    found = estimate_evidence(model, X, Importance(num_samples=4000), key=jr.key(4))
    assert (np.abs(found.values - exact.log_evidence) < 5 * found.standard_errors).all()
    assert (found.standard_errors < 0.1).all()
    log_w = np.asarray(
        eqx.filter_jit(log_weights)(model, X, key=jr.key(5), num_samples=4000).tempered()
    )
    assert (np.abs(log_w.mean(0) - exact.elbo) < 5 * log_w.std(0) / np.sqrt(4000)).all()


@every_kind
def test_an_exact_posterior_makes_every_log_weight_and_every_bound_the_log_evidence(x64, name):
    model = exact_model(name, 3)
    exact = table(model, name, 3, X)
    np.testing.assert_allclose(
        exact.log_w, np.broadcast_to(exact.log_evidence[:, None], exact.log_w.shape), rtol=1e-12
    )
    log_w = eqx.filter_jit(log_weights)(model, X, key=jr.key(6), num_samples=8).tempered()
    np.testing.assert_allclose(log_w, np.broadcast_to(exact.log_evidence, log_w.shape), rtol=1e-12)
    for bound in bounds.names():
        made = bounds.build(bound, {}, {})
        np.testing.assert_allclose(
            jax.vmap(made, in_axes=1)(log_w), exact.log_evidence, rtol=1e-12, err_msg=bound
        )


@every_kind
@pytest.mark.parametrize("decoder", decoders.names())
def test_every_decoder_reads_the_whole_code(name, decoder):
    small = {
        "gated_conv": {"hidden": (5,), "channels": (3,), "kernels": (3,)},
        "pixel_cnn": {"num_layers": 2, "channels": 4},
    }
    choices = {
        "prior": name,
        "encoder": {"name": name, **DISCRETE[name]},
        "decoder": {"name": decoder, **small.get(decoder, {})},
    }
    model = vae(
        (2, 3),
        latent_dim=2,
        **choices,
        network={"name": "gated_dense", "hidden": (6,)},
        key=jr.key(0),
    )
    x = jnp.asarray(X[:2])
    values = [
        float(model.decoder(jnp.asarray(z, jnp.float32)).log_prob(x)) for z in all_codes(name, 2)
    ]
    assert len(np.unique(np.round(values, 6))) == CLASSES[name] ** 2


@pytest.mark.parametrize("architecture", [vae, hvae])
@pytest.mark.parametrize("encoder", encoders.names())
@pytest.mark.parametrize("prior", ["standard_normal", "mixture", *DISCRETE])
def test_a_prior_over_other_codes_is_refused_with_the_reason_and_what_would_do(
    architecture, encoder, prior
):
    def kind(name):
        return {"bernoulli": "binary", "categorical": "one-hot"}.get(name, "continuous")

    def build():
        return architecture(
            (3,),
            latent_dim=(2, 4)[architecture is vae],
            prior=prior,
            encoder=encoder,
            network={"name": "dense", "hidden": (4,)},
            key=jr.key(0),
        )

    if kind(encoder) == kind(prior):
        model = build()
        posterior = model.encoder(jnp.asarray(X[0]))
        assert np.isfinite(model.prior(model.encoder).log_prob(posterior.sample(jr.key(0))))
        return
    would_do = {
        "continuous": 'prior="standard_normal"',
        "binary": 'prior="bernoulli"',
        "one-hot": 'prior="categorical"',
    }[kind(encoder)]
    other = {"continuous": "diagonal_normal", "binary": "bernoulli", "one-hot": "categorical"}[
        kind(prior)
    ]
    message = (
        f"prior {prior} is for {kind(prior)} codes, but those of encoder {encoder} are "
        f'{kind(encoder)}.*Use {would_do} or encoder="{other}"'
    )
    with pytest.raises(ValueError, match=message):
        build()


def test_one_hot_codes_of_other_numbers_of_classes_are_told_apart(tmp_path):
    (tmp_path / "wide.py").write_text(
        "import jax.numpy as jnp\nfrom jensen.distributions import OneHotCategorical\nfrom jensen.priors import AbstractPrior\n\n\n"
        "class Wide(AbstractPrior):\n    def __call__(self, encoder):\n        return OneHotCategorical(jnp.zeros((3, 4)))\n"
    )
    said = r"wide.py is for one-hot \(of 4 classes\) codes, but those of encoder categorical are one-hot \(of 6 classes\)"
    with pytest.raises(ValueError, match=said):
        vae(
            (3,),
            latent_dim=2,
            prior=str(tmp_path / "wide.py"),
            encoder={"name": "categorical", "num_classes": 6},
            key=jr.key(0),
        )


def test_a_class_says_something():
    with pytest.raises(
        ValueError,
        match="num_classes must be at least 2, because a code of one class carries no information; got 1",
    ):
        vae(
            (3,),
            latent_dim=2,
            prior="categorical",
            encoder={"name": "categorical", "num_classes": 1},
            key=jr.key(0),
        )


def test_the_laws_are_about_every_discrete_member():
    model = {
        name: vae((3,), latent_dim=2, prior=name, encoder=name, key=jr.key(0)) for name in DISCRETE
    }
    assert all(code_kind(m.prior(m.encoder)) != "continuous" for m in model.values())
    assert set(DISCRETE) <= set(priors.names()) & set(encoders.names())
