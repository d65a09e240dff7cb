"""A model of NumPy callables: the closed forms of a linear Gaussian one, and our own trained model written down again."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro.distributions as dist
import pytest

import jensen
import linear_gaussian
from interop._copies import NumpyCopy, trained
from jensen.evidence import (
    Annealed,
    Importance,
    bidirectional,
    estimate_evidence,
    evaluate_bounds,
    family_of,
)
from jensen.interop import PseudoInputs, left_out
from jensen.interop._callback import host_call

KEY = jr.key(0)
WORLD = linear_gaussian.make(shift=0.1, stretch=1.1, orthogonal=True)
ROWS = WORLD.data(40, 3).astype(np.float32)


def log_likelihood(x, z):
    return -0.5 * (
        np.square(x - z @ WORLD.w.T - WORLD.b).sum(1) / WORLD.s2
        + 5 * (np.log(WORLD.s2) + linear_gaussian.LOG_2PI)
    )


def gradient(x, z):
    return (x - z @ WORLD.w.T - WORLD.b) @ WORLD.w / WORLD.s2


def log_standard_normal(z):
    return -0.5 * np.square(z).sum(1) - z.shape[1] * 0.5 * linear_gaussian.LOG_2PI


def make(**options):
    given = {
        "event_shape": (5,),
        "latent_dim": 2,
        "encode": WORLD.q,
        "log_likelihood": log_likelihood,
        "log_likelihood_gradient": gradient,
    }
    return jensen.foreign(**given | options)


def lines(account) -> dict[str, float]:
    return {name: line.value for name, line in account.lines.items()}


def test_the_account_of_numpy_callables_has_the_closed_forms():
    acc = jensen.account(make(), ROWS, key=KEY)
    x = ROWS.astype(np.float64)
    known = {
        "evidence": WORLD.log_evidence(x),
        "elbo": WORLD.elbo(x),
        "reconstruction": WORLD.reconstruction(x),
        "average_kl": WORLD.average_kl(x),
    }
    known["jensen_gap"] = WORLD.gap(x)
    for name, values in known.items():
        assert abs(acc.line(name).value - values.mean()) < 5 * acc.line(name).standard_error, name
    # I(n; z) = average KL - KL(q(z) || p(z)): by brute force in float64, many draws from the mixture.
    loc, scale = WORLD.q(x)
    rng = np.random.default_rng(0)
    n = rng.integers(len(x), size=100_000)
    z = loc[n] + scale[n] * rng.normal(size=(len(n), 2))
    own = -0.5 * np.square((z[:, None] - loc) / scale).sum(2) - np.log(scale).sum(1)
    information = own[np.arange(len(n)), n] - (np.logaddexp.reduce(own, axis=1) - np.log(len(x)))
    error = np.hypot(acc.index_information.standard_error, information.std() / len(n) ** 0.5)
    assert abs(acc.index_information.value - information.mean()) < 5 * error


def test_the_account_is_that_of_the_same_model_in_jax():
    theirs, ours = jensen.account(make(), ROWS, key=KEY), jensen.account(WORLD.model, ROWS, key=KEY)
    assert lines(theirs) == pytest.approx(lines(ours), abs=1e-5)


@pytest.mark.parametrize("prior", ["standard_normal", "vamp"])
def test_a_numpy_copy_of_a_trained_model_has_its_account_line_by_line(prior):
    model, data = trained(prior)
    given = PseudoInputs(model.prior.pseudo_inputs) if prior == "vamp" else prior
    theirs, ours = (
        jensen.account(m, data, key=KEY, num_samples=200)
        for m in (NumpyCopy(model).foreign(prior=given), model)
    )
    assert lines(theirs) == pytest.approx(lines(ours), abs=1e-4)
    assert (
        theirs.index_information.value > 1
    )  # a code that carries something, or the comparison is of little


def test_the_gradient_through_the_callback_is_that_of_jax():
    model, data = trained()
    copy = NumpyCopy(model).foreign()
    z, x = jr.normal(KEY, (7, 8)), jnp.asarray(data[:7], float)

    def slopes(m):
        return jax.jit(
            jax.vmap(lambda x, z: jax.value_and_grad(lambda z: m.decoder(z).log_prob(x))(z))
        )(x, z)

    for a, b in zip(slopes(copy), slopes(model), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    # Forwards, and where nothing depends on the code.
    value, slope = jax.jvp(lambda z: copy.decoder(z).log_prob(x[0]), (z[0],), (jnp.ones(8),))
    assert slope == pytest.approx(float(slopes(model)[1][0].sum()), abs=1e-3)
    assert jax.grad(lambda a: a * copy.decoder(z[0]).log_prob(x[0]))(2.0) == pytest.approx(
        float(value), abs=1e-4
    )
    with pytest.raises(ValueError, match="a gradient in z only"):
        jax.grad(lambda x: copy.decoder(z[0]).log_prob(x))(x[0])


def test_gradients_that_come_with_the_value_are_the_same():
    pair = make(log_likelihood_gradient=lambda x, z: (log_likelihood(x, z), gradient(x, z)))
    z, x = jnp.ones(2), jnp.asarray(ROWS[0])
    slopes = [
        jax.value_and_grad(lambda z, m=m: m.decoder(z).log_prob(x))(z)
        for m in (pair, make(), WORLD.model)
    ]
    for found in slopes[:2]:
        np.testing.assert_allclose(found[0], slopes[2][0], rtol=1e-5)
        np.testing.assert_allclose(found[1], slopes[2][1], rtol=1e-5)


def test_gaps_and_annealing_are_those_of_the_same_model_in_jax():
    model = make(
        sample=lambda z, random: (
            z @ WORLD.w.T + WORLD.b + WORLD.s2**0.5 * random.normal(size=(1, 5))
        )
    )
    # The chains cross to the host at every leapfrog step: few are enough to compare with the truth.
    chains = Annealed(num_samples=8, num_temperatures=40, check_data=2)
    theirs, ours = (
        jensen.account(m, ROWS, key=KEY, num_samples=200, gaps=4).gaps for m in (model, WORLD.model)
    )
    assert theirs.family == ours.family == "diagonal"
    assert theirs.amortisation_gap.value == pytest.approx(ours.amortisation_gap.value, abs=1e-4)
    assert theirs.amortisation_gap.value == pytest.approx(
        WORLD.gap(ROWS[theirs.index].astype(float)).mean(),
        abs=5 * theirs.amortisation_gap.standard_error,
    )
    found = estimate_evidence(model, ROWS[:6], chains, key=KEY)
    assert (
        abs(found.value - WORLD.log_evidence(ROWS[:6].astype(float)).mean())
        < 5 * found.standard_error
    )
    both = bidirectional(model, chains, key=KEY, num_data=8)
    assert abs(both.gap) < 5 * both.standard_error + 0.05


def test_a_full_posterior_that_is_the_true_one_closes_the_jensen_gap():
    world = linear_gaussian.make()

    def encode(x):
        mean, covariance = world.posterior(x)
        return mean, np.broadcast_to(np.linalg.cholesky(covariance), (len(x), 2, 2))

    def density(x, z):
        return -0.5 * (
            np.square(x - z @ world.w.T - world.b).sum(1) / world.s2
            + 5 * (np.log(world.s2) + linear_gaussian.LOG_2PI)
        )

    given = {
        "log_likelihood": density,
        "log_likelihood_gradient": lambda x, z: (x - z @ world.w.T - world.b) @ world.w / world.s2,
    }
    model = make(encode=encode, posterior="full_normal", **given)
    x = world.data(20, 1).astype(np.float32)
    acc = jensen.account(model, x, key=KEY, num_samples=50)
    np.testing.assert_allclose(acc.elbo.per_datum, world.log_evidence(x.astype(float)), atol=1e-4)
    assert family_of(model, "own", x[0]) == "full"


PRIORS = {
    "by name": ("standard_normal", 1.0),
    "wider": ({"name": "standard_normal", "scale": 2.0}, 2.0),
    "numpyro": (dist.Normal(jnp.zeros(2), 2.0).to_event(1), 2.0),
    "callable": (log_standard_normal, 1.0),
}


@pytest.mark.parametrize("name", PRIORS)
def test_every_way_to_give_the_prior_is_that_prior(name):
    prior, width = PRIORS[name]
    acc = jensen.account(make(prior=prior), ROWS, key=KEY, num_samples=20)
    loc, scale = WORLD.q(ROWS.astype(float))
    kl = 0.5 * np.sum((loc**2 + scale**2) / width**2 - 1 - 2 * np.log(scale / width), axis=1)
    assert abs(acc.average_kl.value - kl.mean()) < 5 * acc.average_kl.standard_error


def test_a_callable_prior_has_its_gradient_and_no_samples():
    x, z = jnp.asarray(ROWS[0]), jnp.array([0.3, -1.0])
    model = make(prior=log_standard_normal, log_prior_gradient=lambda z: -z)
    density = model.prior(model.encoder)
    np.testing.assert_allclose(jax.grad(density.log_prob)(z), -z, rtol=1e-6)
    assert density.log_prob(jnp.stack([z, z + 1])).shape == (2,)
    with pytest.raises(ValueError, match=r"p\(z\) is a callable log_prior"):
        estimate_evidence(model, ROWS, Importance(num_samples=10, defensive=0.1), key=KEY)
    with pytest.raises(ValueError, match=r"no gradient of log p\(z\): give log_prior_gradient="):
        jensen.account(make(prior=log_standard_normal), ROWS, key=KEY, gaps=3)
    assert jnp.isfinite(
        jax.grad(lambda z: model.decoder(z).log_prob(x) + density.log_prob(z))(z)
    ).all()


def test_what_is_not_given_is_left_out_by_name_and_refused_up_front():
    model = make(log_likelihood_gradient=None)
    acc = jensen.account(model, ROWS, key=KEY, num_samples=20)
    assert {"amortisation_gap", "annealing"} < acc.left_out.keys() >= left_out(model).keys()
    assert "give log_likelihood_gradient=" in acc.left_out[
        "amortisation_gap"
    ] and "give sample=" in " ".join(acc.left_out.values())
    assert "Left out: " in str(acc) or "left out: " in str(acc)
    refused = {
        "refining a posterior": lambda: jensen.account(model, ROWS, key=KEY, gaps=3),
        "annealing needs gradients": lambda: estimate_evidence(model, ROWS, Annealed(), key=KEY),
        "refining": lambda: estimate_evidence(
            model, ROWS, Importance(num_samples=10, proposal="refined"), key=KEY
        ),
        r"give sample=": lambda: bidirectional(make(), Annealed(), key=KEY, num_data=3),
        r"give decode=": lambda: model.decoder(jnp.zeros(2)).mean,
    }
    for message, ask in refused.items():
        with pytest.raises(ValueError, match=message):
            ask()
    whole = make(decode=lambda z: z @ WORLD.w.T + WORLD.b, sample=lambda z, random: z @ WORLD.w.T)
    assert left_out(whole) == {}
    np.testing.assert_allclose(whole.decoder(jnp.ones(2)).mean, WORLD.w.sum(1) + WORLD.b, rtol=1e-5)
    assert left_out(WORLD.model) == {}


def test_draws_of_data_depend_on_their_own_key_alone():
    model = make(sample=lambda z, random: random.normal(size=(1, 5)))
    keys = jr.split(KEY, 6)
    together = jax.vmap(lambda key: model.decoder(jnp.zeros(2)).sample(key))(keys)
    np.testing.assert_array_equal(together[4], model.decoder(jnp.zeros(2)).sample(keys[4]))
    assert len(np.unique(together)) == 30
    assert model.decoder(jnp.zeros(2)).sample(KEY, (3, 2)).shape == (3, 2, 5)


def test_neither_batch_size_nor_what_a_callable_does_to_its_arrays_changes_anything():
    def careless(x, z):
        value = log_likelihood(x, z)
        x *= 0
        z += 7
        return value

    one = jensen.account(make(), ROWS, key=KEY, num_samples=30)
    two = jensen.account(make(batch_size=7, log_likelihood=careless), ROWS, key=KEY, num_samples=30)
    assert lines(one) == pytest.approx(lines(two), abs=1e-6)


def test_arrays_are_of_the_dtype_asked_for_and_no_larger_than_a_batch():
    seen = set()

    def watching(x, z):
        seen.add((x.dtype.name, z.dtype.name, len(x) <= 64))
        return log_likelihood(x, z)

    bytes_ = (ROWS > 0).astype(np.uint8)
    estimate_evidence(
        make(log_likelihood=watching, dtype="float64", batch_size=64),
        bytes_,
        Importance(num_samples=100),
        key=KEY,
    )
    assert seen == {("float64", "float64", True)}


def test_a_datum_with_many_codes_crosses_once():
    shapes = []

    def sums(x, z):
        shapes.append((x.shape, z.shape))
        return [
            np.broadcast_to(x.sum(-1) + z.sum(-1), np.broadcast_shapes(x.shape[:-1], z.shape[:-1]))
        ]

    x, z = jr.normal(KEY, (3, 50)), jr.normal(KEY, (3, 4, 2))
    found = jax.jit(jax.vmap(lambda x, zs: jax.vmap(lambda z: host_call(sums, [()], x, z)[0])(zs)))(
        x, z
    )
    np.testing.assert_allclose(found, x.sum(-1)[:, None] + z.sum(-1), rtol=1e-5)
    assert shapes == [((3, 1, 50), (3, 4, 2))]


def test_the_host_answers_in_double_precision_where_jax_does(x64):
    thirds = host_call(lambda x: [x / 3], [(2,)], jnp.ones(2))[0]
    assert thirds.dtype == jnp.float64 and float(thirds[0]) == 1 / 3
    model = make(dtype="float64")
    z, x = jnp.full(2, 0.1), jnp.asarray(ROWS[0], jnp.float64)
    assert float(model.decoder(z).log_prob(x)) == pytest.approx(
        float(WORLD.model.decoder(z).log_prob(x)), abs=1e-12
    )


def test_bounds_of_a_foreign_model():
    bounds = {"elbo": jensen.bounds.ELBO(), "iwae": jensen.bounds.IWAE()}
    theirs, ours = (
        evaluate_bounds(m, ROWS, bounds, key=KEY, num_samples=10) for m in (make(), WORLD.model)
    )
    for name in bounds:
        assert theirs[name].value == pytest.approx(ours[name].value, abs=1e-5)


@pytest.mark.parametrize("wrong", [lambda g: -g, lambda g: g / len(g), lambda g: g[:, ::-1]])
def test_a_gradient_that_is_not_that_of_the_density_is_refused(wrong):
    right = make().decoder.host  # its gradient is the right one
    model = make(log_likelihood_gradient=lambda x, z: wrong(right.likelihood_and_gradient(x, z)[1]))
    with pytest.raises(ValueError, match="is not the gradient of its density in z"):
        jensen.account(model, ROWS, key=KEY, num_samples=10)
