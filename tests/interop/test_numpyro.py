"""NumPyro models with amortised guides: the linear Gaussian model once more, and what a guide may do wrong."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import SVI, Trace_ELBO

import jensen
import linear_gaussian
from jensen.interop.numpyro import from_numpyro_guide

KEY = jr.key(0)
WORLD = linear_gaussian.make(shift=0.1, stretch=1.1, orthogonal=True)
OURS = WORLD.model
ROWS = WORLD.data(30, 3).astype(np.float32)
PARAMS = {
    "w": WORLD.w.T,
    "b": WORLD.b,
    "encoder": np.asarray(OURS.encoder.weight).T,
    "shift": np.asarray(OURS.encoder.bias),
    "scale": np.exp(np.asarray(OURS.encoder.log_scale)),
}


def model(x, *, z="z", prior=lambda x: dist.Normal(jnp.zeros(2), 1.0).to_event(1), size=None):
    w, b = numpyro.param("w", jnp.zeros((2, 5))), numpyro.param("b", jnp.zeros(5))
    with numpyro.plate("data", size or x.shape[0]):
        code = numpyro.sample(z, prior(x))
        numpyro.sample("obs", dist.Normal(code @ w + b, WORLD.s2**0.5).to_event(1), obs=x)


def guide(x, *, family=lambda loc, scale: dist.Normal(loc, scale).to_event(1)):
    w, shift, scale = (
        numpyro.param("encoder", jnp.zeros((5, 2))),
        numpyro.param("shift", jnp.zeros(2)),
        numpyro.param("scale", jnp.ones(2)),
    )
    with numpyro.plate("data", x.shape[0]):
        numpyro.sample("z", family(x @ w + shift, scale))


def values(account):
    return {name: line.value for name, line in account.lines.items()}


def test_the_account_is_that_of_the_same_model():
    theirs = from_numpyro_guide(model, guide, PARAMS, event_shape=(5,))
    one, two = (jensen.account(m, ROWS, key=KEY, num_samples=100) for m in (theirs, OURS))
    assert values(one) == pytest.approx(values(two), abs=1e-5)
    assert (
        abs(one.evidence.value - WORLD.log_evidence(ROWS.astype(float)).mean())
        < 5 * one.evidence.standard_error
    )
    density = theirs.decoder(jnp.ones(2))
    np.testing.assert_allclose(density.mean, WORLD.w.sum(1) + WORLD.b, rtol=1e-5)
    draws = np.asarray(density.sample(KEY, (4000,)))
    assert np.abs(draws.mean(0) - WORLD.w.sum(1) - WORLD.b).max() < 5 * (WORLD.s2 / 4000) ** 0.5
    slope = jax.grad(lambda z: theirs.decoder(z).log_prob(jnp.asarray(ROWS[0])))(jnp.ones(2))
    np.testing.assert_allclose(
        slope, (ROWS[0] - WORLD.w.sum(1) - WORLD.b) @ WORLD.w / WORLD.s2, rtol=1e-4
    )


FAMILIES = {
    "cholesky": lambda loc, scale: dist.MultivariateNormal(loc, scale_tril=jnp.diag(scale)),
    "heavy tails": lambda loc, scale: dist.StudentT(2000.0, loc, scale).to_event(1),
    "expanded": lambda loc, scale: (
        dist.Normal(0.0, 1.0).expand(loc.shape).to_event(1)
        if loc is None
        else dist.Normal(loc, scale).to_event(1)
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_guides_of_other_families_have_their_density(family):
    theirs = from_numpyro_guide(
        model, lambda x: guide(x, family=FAMILIES[family]), PARAMS, event_shape=(5,)
    )
    x, z = jnp.asarray(ROWS[0]), jnp.array([0.2, -0.4])
    loc = ROWS[0] @ PARAMS["encoder"] + PARAMS["shift"]
    known = FAMILIES[family](loc, PARAMS["scale"]).log_prob(z)
    assert float(theirs.encoder(x).log_prob(z)) == pytest.approx(float(known), rel=1e-5)
    acc = jensen.account(theirs, ROWS, key=KEY, num_samples=20)
    assert (
        abs(acc.average_kl.value - WORLD.average_kl(ROWS.astype(float)).mean())
        < 5 * acc.average_kl.standard_error + 0.01
    )


def test_subsampling_scales_no_density():
    def scaled(x):
        w, b = numpyro.param("w", jnp.zeros((2, 5))), numpyro.param("b", jnp.zeros(5))
        with numpyro.handlers.scale(scale=1000.0), numpyro.plate("data", x.shape[0]):
            code = numpyro.sample("z", dist.Normal(jnp.zeros(2), 1.0).to_event(1))
            numpyro.sample("obs", dist.Normal(code @ w + b, WORLD.s2**0.5).to_event(1), obs=x)

    one, two = (from_numpyro_guide(m, guide, PARAMS, event_shape=(5,)) for m in (scaled, model))
    z, x = jnp.ones(2), jnp.asarray(ROWS[0])
    assert float(one.decoder(z).log_prob(x)) == float(two.decoder(z).log_prob(x))


def test_a_model_trained_by_svi_is_accounted_for():
    """SVI of the linear Gaussian model from scratch; its evidence is known for whatever parameters it ends with."""

    def positive(x):
        with numpyro.plate("data", x.shape[0]):
            w, shift = (
                numpyro.param("encoder", 0.1 * jnp.ones((5, 2))),
                numpyro.param("shift", jnp.zeros(2)),
            )
            scale = numpyro.param("scale", 0.5 * jnp.ones(2), constraint=dist.constraints.positive)
            numpyro.sample("z", dist.Normal(x @ w + shift, scale).to_event(1))

    def start(x):
        numpyro.param("w", jnp.asarray(PARAMS["w"], jnp.float32))
        model(x)

    svi = SVI(start, positive, numpyro.optim.Adam(0.05), Trace_ELBO())
    params = svi.run(KEY, 400, jnp.asarray(ROWS), progress_bar=False).params
    fitted = linear_gaussian.LinearGaussian(
        np.asarray(params["w"], float).T, np.asarray(params["b"], float), WORLD.s2
    )
    acc = jensen.account(
        from_numpyro_guide(start, positive, params, event_shape=(5,)),
        ROWS,
        key=KEY,
        num_samples=2000,
    )
    assert (
        abs(acc.evidence.value - fitted.log_evidence(ROWS.astype(float)).mean())
        < 5 * acc.evidence.standard_error
    )
    assert acc.jensen_gap.value > -5 * acc.jensen_gap.standard_error


def test_arguments_say_how_model_and_guide_are_called():
    called = from_numpyro_guide(
        lambda i, x: model(x),
        lambda i, x: guide(x),
        PARAMS,
        event_shape=(5,),
        arguments=lambda x: (0, x),
    )
    plain = from_numpyro_guide(model, guide, PARAMS, event_shape=(5,))
    x, z = jnp.asarray(ROWS[0]), jnp.ones(2)
    assert float(called.decoder(z).log_prob(x)) == float(plain.decoder(z).log_prob(x))


def with_extra(x):
    numpyro.sample("tau", dist.Normal(0, 1))
    model(x)


def noisy(x):
    with numpyro.plate("data", x.shape[0]):
        noise = jr.normal(numpyro.prng_key(), (2,))
        numpyro.sample("z", dist.Normal(jnp.zeros(2) + noise, 1.0).to_event(1))


WRONG = {
    "site": (model, guide, {"latent": "zz"}, "no sample site 'zz' .did you mean 'z'.*Give latent="),
    "observed": (
        model,
        guide,
        {"observed": "x"},
        "the model has no sample site 'x'.*Give observed=",
    ),
    "params": (
        model,
        guide,
        {"params": {k: v for k, v in PARAMS.items() if k != "scale"}},
        r"the guide has parameters that params lacks \(scale\)",
    ),
    "extra": (with_extra, guide, {}, r"further sample sites \(tau\)"),
    "conditional prior": (
        lambda x: model(x, prior=lambda x: dist.Normal(x[:, :2], 1.0).to_event(1)),
        guide,
        {},
        "depends on the data",
    ),
    "chance": (model, noisy, {}, "the guide gives other distributions for the same datum.*dropout"),
    "plate": (
        lambda x: model(x, size=30),
        guide,
        {},
        r"site 'z' of the model has shape \(30, 2\).*Plates must",
    ),
    "event shape": (model, guide, {"event_shape": (4,)}, "the guide cannot be run for one datum"),
    "arguments": (model, lambda x, y: None, {}, "give arguments=lambda x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_one_datums_model_is_refused(name):
    its_model, its_guide, options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        from_numpyro_guide(
            its_model, its_guide, **{"params": PARAMS, "event_shape": (5,)} | options
        )


def test_data_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"data of shape \(5,\); got rows of shape \(4,\)"):
        jensen.account(
            from_numpyro_guide(model, guide, PARAMS, event_shape=(5,)), ROWS[:, :4], key=KEY
        )
