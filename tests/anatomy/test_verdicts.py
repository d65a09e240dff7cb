"""Planted faults: the verdict names the planted one each time, and no other."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import jensen
import linear_gaussian
from jensen.anatomy import account, generalisation
from jensen.decoders import AbstractDecoder
from jensen.distributions import diagonal_normal
from jensen.encoders import AbstractEncoder
from jensen.model import Model
from jensen.priors import AbstractPrior, StandardNormal
from jensen.training import TrainingOptions

KEY = jr.key(11)
pytestmark = pytest.mark.usefixtures("x64")


def faults(found) -> list[str]:
    return [v.partition(":")[0] for v in found.verdicts]


class NormalAt(AbstractPrior):
    loc: jax.Array
    scale: float

    def __call__(self, encoder):
        return diagonal_normal(self.loc, self.scale * jnp.ones(len(self.loc)))


class Lookup(AbstractEncoder):
    """The posterior of an orthogonal linear-Gaussian model with the codes turned by a rotation: as spread out as they should be, in the wrong places."""

    right: AbstractEncoder
    turn: jax.Array

    def __call__(self, x):
        q = self.right(x)
        return diagonal_normal(self.turn @ q.base_dist.loc, q.base_dist.scale)


class Narrow(AbstractEncoder):
    """q(z|x) = N(x, .001^2)."""

    def __call__(self, x):
        return diagonal_normal(x, jnp.full(x.shape, 1e-3))


class Echo(AbstractDecoder):
    """p(x|z) = N(z, s^2), with s such that q is about the posterior."""

    scale: float = 1e-3

    def __call__(self, z):
        return diagonal_normal(z, jnp.full(z.shape, self.scale))


def right_model(**options):
    return linear_gaussian.make(dimension=6, latent=3, s2=0.3, orthogonal=True, **options)


def test_a_right_model_has_no_fault():
    world = right_model()
    found = account(
        world.model, world.data(2000, seed=0), key=KEY, num_samples=200, num_draws=2, gaps=50
    )
    assert faults(found) == ["Nothing stands out"]


def test_a_collapsed_code():
    world = linear_gaussian.LinearGaussian(np.zeros((4, 2)), np.zeros(4), 1.0)
    found = account(world.model, world.data(200, seed=1), key=KEY, num_samples=100, gaps=20)
    assert faults(found) == ["Collapsed"]
    assert "0 of 2 units active" in found.verdicts[0]


def test_a_saturated_code():
    rows = np.random.default_rng(2).normal(size=(300, 3))
    found = account(Model(StandardNormal(3), Narrow(), Echo()), rows, key=KEY, num_samples=100)
    assert faults(found) == ["Saturated"]
    assert found.index_information.value == pytest.approx(np.log(300), abs=1e-3)
    assert "out of reach" in found.ceilings[0].remedy


def test_a_prior_mismatch():
    """Codes of a standard normal, exact posteriors, and a prior that lies two standard deviations beside them."""
    world = right_model()
    x = world.data(1000, seed=3)
    model = world.model
    wrong = Model(NormalAt(jnp.full(3, 2.0), 1.0), Shifted(world), model.decoder)
    found = account(wrong, x, key=KEY, num_samples=200, num_draws=2, gaps=50)
    assert faults(found) == ["Prior"]
    assert found.jensen_gap.value == pytest.approx(0, abs=1e-8)
    assert "dimensions one by one" in found.verdicts[0]
    (ceiling, apart, together, *_) = found.ceilings
    assert (
        ceiling.value
        == found.marginal_kl.value
        == pytest.approx(apart.value + together.value, abs=1e-9)
    )


class Shifted(AbstractEncoder):
    """The exact posterior under the prior N(2, I) of an orthogonal linear-Gaussian model."""

    weight: jax.Array
    bias: jax.Array
    precision: jax.Array
    s2: float

    def __init__(self, world):
        self.weight, self.bias, self.s2 = jnp.asarray(world.w), jnp.asarray(world.b), world.s2
        self.precision = jnp.diag(jnp.asarray(world.m)) / world.s2

    def __call__(self, x):
        loc = (self.weight.T @ (x - self.bias) / self.s2 + 2.0) / self.precision
        return diagonal_normal(loc, self.precision**-0.5)


def test_an_amortisation_gap():
    """An encoder that puts every code into a wrong place of the right cloud: a better encoder of the same family is exact."""
    world = right_model()
    turn = jnp.asarray(Rotation.from_rotvec([0.2, 0.15, -0.15]).as_matrix())
    model = world.model
    found = account(
        Model(model.prior, Lookup(model.encoder, turn), model.decoder),
        world.data(1000, seed=4),
        key=KEY,
        num_samples=5000,
        num_draws=16,
        gaps=40,
    )
    assert faults(found) == ["Posterior"], found
    (posterior,) = found.verdicts
    assert (
        "a better encoder (a larger network" in posterior
        and "can win at most that" not in posterior
    )
    assert found.gaps.amortisation_gap.value > 0.9 * found.gaps.jensen_gap.value


def test_an_encoder_frozen_early():
    """A linear-Gaussian VAE whose encoder stopped learning after an epoch while the decoder is the true one."""
    world = right_model()
    x = world.data(1500, seed=5).astype(np.float32)
    model = jensen.vae(
        (6,),
        latent_dim=3,
        likelihood="normal",
        network={"name": "dense", "hidden": [32]},
        data=x,
        key=jr.key(0),
    )
    young = jensen.fit(model, x, epochs=1, key=jr.key(1), progress=False).last
    found = account(
        Model(world.model.prior, young.encoder, world.model.decoder),
        x,
        key=KEY,
        num_samples=3000,
        num_draws=16,
        gaps=40,
    )
    assert "Prior" not in faults(found)
    posterior = next(v for v in found.verdicts if v.startswith("Posterior"))
    assert (
        "a better encoder (a larger network" in posterior and "Mend the encoder first" in posterior
    )


def test_a_poor_family():
    """The best diagonal normal of every datum, where the last observation couples twelve latents: only a richer family wins."""
    world = linear_gaussian.LinearGaussian(
        np.concatenate([0.55 * np.eye(12), np.full((1, 12), 0.75)]), np.zeros(13), 1.0
    )
    found = account(
        world.model, world.data(2000, seed=6), key=KEY, num_samples=5000, num_draws=16, gaps=40
    )
    assert faults(found) == ["Posterior"], found
    (posterior,) = found.verdicts
    assert (
        "the best member of its family leaves" in posterior
        and "and a richer posterior can win at most that" in posterior
        and "the encoder misses" not in posterior
    )


def test_overfitting_is_named_with_its_lines():
    """A decoder that knows the training data by heart: the same codes describe other data badly."""
    rng = np.random.default_rng(7)
    train, test = rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) * 1.6
    model = Model(StandardNormal(2), Wide(), Echo(0.6))
    accounts = [
        account(model, x, key=KEY, split=split, num_samples=500, num_draws=2)
        for split, x in (("train", train), ("test", test))
    ]
    found = generalisation(model, *accounts, train, test, key=KEY)
    assert faults(found.test)[-1] == "Overfitting"
    assert "Nothing stands out" not in faults(found.test)
    assert (
        "reconstruction: the decoder fits the training data too closely" in found.test.verdicts[-1]
    )
    same = generalisation(model, accounts[0], accounts[0], train, train, key=KEY)
    assert all(change.difference == 0 for change in same.lines.values())
    assert "Overfitting" not in faults(same.test)


class Wide(AbstractEncoder):
    """q(z|x) = N(.7 x, .5^2)."""

    def __call__(self, x):
        return diagonal_normal(0.7 * x, jnp.full(x.shape, 0.5))


def test_a_warm_up_that_never_ended_is_a_verdict():
    remark = f"Training: {TrainingOptions(epochs=10, warm_up=50).unsettled(10)}"
    world = right_model()
    found = account(
        world.model, world.data(500, seed=8), key=KEY, num_samples=100, remarks=(remark,)
    )
    assert found.verdicts[0].startswith("Training: the KL warm-up had not finished")


def in_units(world, factor):
    """The same model of the same data, written in other units."""
    return linear_gaussian.LinearGaussian(
        factor * world.w, factor * world.b, factor**2 * world.s2, world.shift, world.stretch
    )


@pytest.mark.parametrize("stretch", [1.0, 1.5, 2.5])
def test_verdicts_do_not_depend_on_the_units_of_the_data(stretch):
    world = linear_gaussian.make(dimension=6, latent=3, orthogonal=True, stretch=stretch)
    x = world.data(400, seed=9)
    one, other = (
        account(in_units(world, f).model, f * x, key=KEY, num_samples=300, num_draws=4)
        for f in (1.0, 1000.0)
    )
    # The evidence moves by -6 log 1000: 5% of |ELBO| would be another size.
    assert one.elbo.value - other.elbo.value == pytest.approx(6 * np.log(1000), abs=1e-6)
    assert one.verdicts == other.verdicts
    for ours, theirs in zip(one.ceilings, other.ceilings, strict=True):
        assert theirs.value == pytest.approx(ours.value, abs=1e-6)
    assert ("Posterior" in faults(one)) == (stretch > 1)


def test_overfitting_does_not_depend_on_the_units_of_the_data():
    world = right_model(stretch=1.2)
    train, test = world.data(300, seed=10), 1.4 * world.data(300, seed=11)
    told = []
    for factor in (1.0, 1000.0):
        model = in_units(world, factor).model
        accounts = [
            account(model, factor * x, key=KEY, split=split, num_samples=100, num_draws=2)
            for split, x in (("train", train), ("test", test))
        ]
        both = generalisation(model, *accounts, factor * train, factor * test, key=KEY)
        told.append([v for v in both.test.verdicts if v.startswith("Overfitting")])
    assert told[0] == told[1] and len(told[0]) == 1


def test_the_ceiling_of_a_prior_is_of_this_encoder_and_decoder():
    """Retraining moves these too, and can win more: the prior is tried alone first."""
    data = np.random.default_rng(0).normal(size=(60, 5))
    made = jensen.vae((5,), latent_dim=2, likelihood="normal", data=data, key=jr.key(0))
    found = account(made, data, key=KEY, num_samples=20)
    prior, gap = (
        next(c for c in found.ceilings if c.line == line) for line in ("marginal_kl", "jensen_gap")
    )
    assert prior.given == "with this encoder and decoder" and gap.given == "with this decoder"
    assert prior.remedy == "before retraining, --try vamp, --try mixture (jensen.try_prior)"
    text = " ".join(str(found).split())
    assert "with this encoder and decoder; before retraining, --try vamp" in text
    # A model put together by hand cannot be tried: no remedy that is refused.
    world = right_model()
    by_hand = account(world.model, world.data(60, seed=1), key=KEY, num_samples=20)
    assert "--try" not in by_hand.ceilings[0].remedy
