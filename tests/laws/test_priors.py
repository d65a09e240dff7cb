"""Laws of every prior over continuous codes, in two dimensions where a grid can integrate anything; those over discrete codes are in test_discrete_codes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import random as jr
from scipy.special import log_softmax, logsumexp
from scipy.stats import norm

from discrete import DISCRETE
from jensen._parameters import partition
from jensen.bounds import ELBO
from jensen.gradients import ClosedFormKL
from jensen.likelihoods import likelihoods, summarise
from jensen.models.vae import vae
from jensen.priors import priors
from linear_gaussian import LinearEncoder

EVENT = (3,)
ROWS = np.random.default_rng(0).normal(size=(40, 3)) * 2 + 1


def spread_encoder():
    """Posteriors as far apart as the data are, of scale 0.4 and 0.7."""
    weight = jnp.array([[1.0, -0.5, 0.2], [0.3, 0.8, -1.0]])
    return LinearEncoder(weight, jnp.array([0.3, -0.2]), jnp.log(jnp.array([0.4, 0.7])))


def small_options(name):
    small = {"num_components": 6, "num_layers": 2, "hidden": 4, "knots": 3}
    return {k: v for k, v in small.items() if k in priors.options(name)}


def build(name, **options):
    """A prior as different from its start as training could make it: every parameter is moved by a normal draw."""
    data = summarise(ROWS)
    head = likelihoods.build("normal", {}, {"event_shape": EVENT, "data": data})
    options = small_options(name) | options
    context = {
        "latent_dim": 2,
        "event_shape": EVENT,
        "data": data,
        "likelihood": head,
        "key": jr.key(1),
    }
    prior = priors.build(name, options, context)
    leaves, structure = jax.tree.flatten(partition(prior).parameters)
    by = 0.3 if name == "flow" else 0.6
    moved = [
        by * jr.normal(key, leaf.shape)
        for key, leaf in zip(jr.split(jr.key(2), max(len(leaves), 1)), leaves)
    ]
    return eqx.apply_updates(prior, jax.tree.unflatten(structure, moved))


CONTINUOUS = [name for name in priors.names() if name not in DISCRETE]
CASES = [
    *((name, {}) for name in CONTINUOUS),
    ("vamp", {"learn_weights": True}),
    ("vamp", {"initialise": "data"}),
    ("vamp_data", {"learn_weights": True}),
    ("flow", {"transform": "affine"}),
]
every_prior = pytest.mark.parametrize(
    ("name", "options"), CASES, ids=lambda v: v if isinstance(v, str) else "-".join(v)
)


@every_prior
def test_density_integrates_to_one_and_samples_fall_where_it_is(x64, name, options):
    p = build(name, **options)(spread_encoder())
    step, per_cell = 0.1, 10
    axis = np.arange(-24, 24, step) + step / 2
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    density = np.exp(np.asarray(jax.jit(lambda z: p.log_prob(z))(jnp.asarray(grid))))
    # The midpoint rule is exact to rounding for normals wider than a few steps; a flow's density has kinks (8e-5 here; 1e-6 at a quarter of the step).
    assert density.sum() * step**2 == pytest.approx(1, abs=2e-4 if name == "flow" else 1e-7)
    cells = len(axis) // per_cell
    probability = density.reshape(cells, per_cell, cells, per_cell).sum((1, 3)) * step**2
    n = 40_000
    samples = np.asarray(p.sample(jr.key(3), (n,)))
    edges = np.linspace(-24, 24, cells + 1)
    counts = np.histogram2d(*samples.T, bins=(edges, edges))[0]
    assert counts.sum() > n - 5
    large = n * probability > 25
    assert large.sum() > 12
    assert (np.abs(counts - n * probability) < 5 * np.sqrt(n * probability))[large].all()
    assert (
        counts[~large].sum()
        < n * probability[~large].sum() + 5 * np.sqrt(n * probability[~large].sum()) + 5
    )


@every_prior
def test_no_prior_but_the_standard_normal_is_taken_for_it(name, options):
    p = build(name, **options)(spread_encoder())
    z = np.asarray(p.sample(jr.key(4), (500,)))
    standard = -0.5 * np.sum(z**2, axis=1) - np.log(2 * np.pi)
    assert (np.abs(np.asarray(p.log_prob(jnp.asarray(z))) - standard).max() > 0.5) == (
        name != "standard_normal"
    )


def brute_force(prior, z):
    """log p(z) of points [M, 2] as sums over whole vectors in NumPy; of a flow by the Jacobian of its inverse."""
    encoder = spread_encoder()
    match type(prior).__name__:
        case "StandardNormal":
            return norm.logpdf(z).sum(-1)
        case "Flow":
            inverse = prior.flow.bijection.inverse
            jacobian = np.asarray(jax.vmap(jax.jacfwd(inverse))(jnp.asarray(z)))
            return norm.logpdf(np.asarray(jax.vmap(inverse)(jnp.asarray(z)))).sum(-1) + np.log(
                np.abs(np.linalg.det(jacobian))
            )
        case "Mixture":
            loc, scale, logits = np.asarray(prior.loc), np.exp(prior.log_scale), prior.logits
        case _:
            inputs = np.asarray(
                prior.pseudo_inputs if hasattr(prior, "pseudo_inputs") else prior.rows, np.float64
            )
            logits = getattr(prior, "logits", None)
            loc = inputs @ np.asarray(encoder.weight).T + np.asarray(encoder.bias)
            scale = np.broadcast_to([0.4, 0.7], loc.shape)
    log_weights = log_softmax(np.zeros(len(loc)) if logits is None else np.asarray(logits))
    return logsumexp(norm.logpdf(z[:, None], loc, scale).sum(-1) + log_weights, axis=1)


@every_prior
def test_density_is_that_of_brute_force(x64, name, options):
    prior = build(name, **options)
    z = 3 * np.random.default_rng(5).normal(size=(40, 2))
    np.testing.assert_allclose(
        prior(spread_encoder()).log_prob(jnp.asarray(z)),
        brute_force(prior, z),
        rtol=1e-6 if name == "mixture" else 1e-8,
    )


@pytest.mark.parametrize("name", CONTINUOUS)
def test_only_the_standard_normal_has_a_closed_form_of_the_average_kl(name):
    model = vae(
        EVENT,
        latent_dim=2,
        likelihood="normal",
        prior={"name": name} | small_options(name),
        data=ROWS.astype(np.float32),
        key=jr.key(0),
    )
    if name == "standard_normal":
        ClosedFormKL().check(ELBO(), model, 1)
        return
    with pytest.raises(
        ValueError,
        match=f"no closed form of KL.*for the {name} prior. Valid here: .*--gradient pathwise",
    ):
        ClosedFormKL().check(ELBO(), model, 1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mixture", {"num_components": 0}, "num_components must be at least 1; got 0"),
        ("vamp", {"num_components": 0}, "num_components must be at least 1; got 0"),
        ("vamp_data", {"num_components": 0}, "num_components must be at least 1; got 0"),
        ("mixture", {"initial_spread": -1.0}, "initial_spread must not be negative; got -1.0"),
        (
            "vamp",
            {"num_components": 41, "initialise": "data"},
            "at least num_components=41 training rows; 40 are available.*fewer components",
        ),
        (
            "vamp_data",
            {"num_components": 41},
            "at least num_components=41 training rows; 40 are available.*fewer components",
        ),
        (
            "vamp",
            {"initialise": "dta"},
            r"initialise must be one of random, data, or a path.*got 'dta' \(did you mean 'data'\?\)",
        ),
        (
            "vamp",
            {"initialise": "data", "initial_mean": 0.5},
            "initial_mean=0.5 needs initialise='random'.*is 'data'",
        ),
        ("vamp", {"initial_mean": np.nan}, "initial_mean=nan needs .* a finite number"),
        (
            "vamp",
            {"initial_spread": -0.1},
            "initial_spread must be finite and not negative; got -0.1",
        ),
        (
            "vamp",
            {"onto_range": "clip"},
            "onto_range='clip' is for data that the likelihood bounds",
        ),
        ("vamp", {"onto_range": "hard"}, "onto_range must be one of sigmoid, clip; got 'hard'"),
        ("flow", {"num_layers": 0}, "num_layers must be at least 1; got 0"),
        ("flow", {"hidden": 0}, "hidden must be at least 1; got 0"),
        ("flow", {"knots": 0}, "knots must be at least 1; got 0"),
        ("flow", {"interval": 0.0}, "interval must be positive and finite; got 0.0"),
        ("flow", {"transform": "plane"}, "transform must be one of affine, spline; got 'plane'"),
    ],
)
def test_refusals_name_the_value_and_the_remedy(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


def test_mixture_starts_with_the_spread_asked_for():
    start = priors.build(
        "mixture",
        {"num_components": 2000, "initial_spread": 3.0},
        {"latent_dim": 2, "key": jr.key(6)},
    )
    squares = np.asarray(start.loc) ** 2
    assert abs(squares.mean() - 9) < 5 * squares.std() / np.sqrt(squares.size)
