"""PyTorch modules: our own trained model once more, and what modules and tensors may do wrong."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
from interop._copies import LATENT, torch_modules, trained
from jensen.evidence import Annealed, estimate_evidence
from jensen.interop import ForeignError, PseudoInputs, left_out

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `torch`)")
from jensen.interop.torch import evaluating, from_torch, to_array, to_tensor  # noqa: E402

KEY = jr.key(0)
SHAPES = {"event_shape": (8, 8), "latent_dim": LATENT}


@pytest.fixture
def trio():
    model, data = trained()
    return (*torch_modules(model), data)


def values(account) -> dict[str, float]:
    return {name: line.value for name, line in account.lines.items()}


@pytest.mark.parametrize("prior", ["standard_normal", "vamp"])
def test_a_torch_copy_of_a_trained_model_has_its_account_line_by_line(prior):
    model, data = trained(prior)
    encoder, decoder = torch_modules(model)
    given = PseudoInputs(model.prior.pseudo_inputs) if prior == "vamp" else prior
    copy = from_torch(encoder, decoder, prior=given, **SHAPES)
    theirs, ours = (jensen.account(m, data, key=KEY, num_samples=300) for m in (copy, model))
    assert values(theirs) == pytest.approx(values(ours), abs=1e-4)
    assert (
        theirs.untrusted_share == ours.untrusted_share and theirs.active_units == ours.active_units
    )
    assert left_out(copy) == {}


def test_gaps_and_annealing_of_the_torch_copy_are_ours(trio):
    encoder, decoder, data = trio
    model, copy = trained()[0], from_torch(encoder, decoder, **SHAPES)
    theirs, ours = (
        jensen.account(m, data, key=KEY, num_samples=50, gaps=4).gaps for m in (copy, model)
    )
    assert theirs.amortisation_gap.value == pytest.approx(ours.amortisation_gap.value, abs=1e-3)
    a, b = (
        estimate_evidence(m, data[:6], Annealed(num_temperatures=60, num_samples=8), key=KEY)
        for m in (copy, model)
    )
    assert abs(a.value - b.value) < 5 * np.hypot(a.standard_error, b.standard_error)


def test_autograd_is_the_gradient_of_jax(trio):
    encoder, decoder, data = trio
    x, z = jnp.asarray(data[:5], float), jr.normal(KEY, (5, LATENT))

    def slopes(m):
        return jax.jit(
            jax.vmap(lambda x, z: jax.value_and_grad(lambda z: m.decoder(z).log_prob(x))(z))
        )(x, z)

    for a, b in zip(
        slopes(from_torch(encoder, decoder, **SHAPES)), slopes(trained()[0]), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    # A likelihood that does not look at the code has a gradient of zero.
    flat = from_torch(
        encode=lambda x: (x[:, 0, :2], 1 + x[:, 0, :2] ** 2),
        log_likelihood=lambda x, z: x.flatten(1).sum(1),
        event_shape=(8, 8),
        latent_dim=2,
    )
    np.testing.assert_array_equal(
        jax.grad(lambda z: flat.decoder(z).log_prob(x[0]))(jnp.ones(2)), jnp.zeros(2)
    )


def test_memory_is_shared_on_cpus():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    tensor = to_tensor(array)
    assert tensor.data_ptr() == array.ctypes.data
    assert to_array(tensor).ctypes.data == array.ctypes.data
    assert to_array(torch.ones(2, dtype=torch.bfloat16, requires_grad=True)).dtype == np.float32


def test_modules_are_in_eval_mode_for_the_call_and_have_their_own_flags_back(trio):
    encoder, decoder, data = trio
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, z):
            seen.append((self.training, torch.is_grad_enabled()))
            return decoder(z)

    watching = Watching()
    outer = torch.nn.Sequential(
        torch.nn.Dropout(0.5), torch.nn.Identity(), watching, torch.nn.BatchNorm1d(64)
    )
    outer[1].eval()
    outer[3].train()
    model = from_torch(encoder, outer, **SHAPES)
    x = jnp.asarray(data[0], float)
    before = [p.clone() for p in outer[3].buffers()]
    model.decoder(jnp.ones(LATENT)).log_prob(x)
    assert seen == [(False, False)]
    jax.grad(lambda z: model.decoder(z).log_prob(x))(jnp.ones(LATENT))
    assert seen[1] == (False, True)
    assert [m.training for m in outer] == [True, False, True, True] and outer.training
    assert all(torch.equal(a, b) for a, b in zip(before, outer[3].buffers(), strict=True))
    assert all(p.grad is None for p in outer.parameters())
    with pytest.raises(RuntimeError, match="boo"), evaluating([outer]):
        raise RuntimeError("boo")
    assert outer.training and not outer[1].training


def test_dropout_and_batch_normalisation_in_modules_do_no_harm_and_functional_dropout_is_found_out(
    trio,
):
    encoder, decoder, data = trio
    noisy = torch.nn.Sequential(torch.nn.Dropout(0.5), *decoder)
    assert values(
        jensen.account(from_torch(encoder, noisy, **SHAPES), data, key=KEY, num_samples=20)
    ) == pytest.approx(
        values(
            jensen.account(from_torch(encoder, decoder, **SHAPES), data, key=KEY, num_samples=20)
        ),
        abs=1e-5,
    )
    functional = lambda z: decoder(torch.nn.functional.dropout(z, 0.5))  # noqa: E731
    with pytest.raises(
        ForeignError, match=r"decoder and likelihood gives other answers.*training=False"
    ):
        jensen.account(from_torch(encoder, functional, **SHAPES), data, key=KEY)
    normed = torch.nn.BatchNorm1d(
        LATENT, track_running_stats=False
    )  # which uses the batch in eval mode as well
    with pytest.raises(ForeignError, match=r"depends on the batch it is in.*batch normalisation"):
        jensen.account(
            from_torch(encoder, torch.nn.Sequential(normed, *decoder), **SHAPES), data, key=KEY
        )


def test_the_second_of_the_encoders_answers_is_what_it_is_said_to_be():
    x = jnp.zeros(3)
    for second, value in (("log_var", np.log(4.0)), ("log_scale", np.log(2.0)), ("scale", 2.0)):
        encoder = lambda x, value=value: (x, torch.full_like(x, value))  # noqa: E731
        model = from_torch(
            encoder, lambda z: z, event_shape=(3,), latent_dim=3, second=second, likelihood="normal"
        )
        np.testing.assert_allclose(model.encoder(x).base_dist.scale, 2.0, rtol=1e-6)


def test_named_likelihoods_are_the_densities_of_torch_distributions():
    rng = np.random.default_rng(0)
    z, x = rng.normal(size=(3,)).astype(np.float32), (rng.random((3,)) > 0.5).astype(np.float32)
    encoder = lambda x: (x, x)  # noqa: E731
    bernoulli = from_torch(encoder, lambda z: 40 * z, event_shape=(3,), latent_dim=3)
    known = (
        torch.distributions.Bernoulli(logits=torch.tensor(40 * z)).log_prob(torch.tensor(x)).sum()
    )
    assert float(bernoulli.decoder(jnp.asarray(z)).log_prob(jnp.asarray(x))) == pytest.approx(
        float(known), rel=1e-5
    )
    normal = from_torch(
        encoder, lambda z: 2 * z, event_shape=(3,), latent_dim=3, likelihood="normal", scale=0.3
    )
    known = torch.distributions.Normal(torch.tensor(2 * z), 0.3).log_prob(torch.tensor(x)).sum()
    density = normal.decoder(jnp.asarray(z))
    assert float(density.log_prob(jnp.asarray(x))) == pytest.approx(float(known), rel=1e-5)
    np.testing.assert_allclose(density.mean, 2 * z, rtol=1e-6)
    draws = np.asarray(density.sample(KEY, (4000,)))
    assert (np.abs(draws.mean(0) - 2 * z) < 5 * 0.3 / 4000**0.5).all()
    assert np.abs(draws.std(0) / 0.3 - 1).max() < 5 / 8000**0.5
    draws = np.asarray(
        from_torch(encoder, lambda z: z, event_shape=(3,), latent_dim=3)
        .decoder(jnp.asarray(z))
        .sample(KEY, (4000,))
    )
    assert np.abs(draws.mean(0) - 1 / (1 + np.exp(-z))).max() < 5 * 0.5 / 4000**0.5


def test_priors_of_tensors_are_differentiated():
    wide = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(3), 2.0), 1)
    model = from_torch(lambda x: (x, x), lambda z: z, event_shape=(3,), latent_dim=3, prior=wide)
    density, z = model.prior(model.encoder), jnp.array([1.0, 2.0, -1.0])
    assert float(density.log_prob(z)) == pytest.approx(
        float(wide.log_prob(torch.tensor(np.array(z)))), rel=1e-6
    )
    np.testing.assert_allclose(jax.grad(density.log_prob)(z), -z / 4, rtol=1e-6)


WRONG = {
    "nothing": ({}, "needs an encoder and a decoder, or the two functions"),
    "half": ({"encoder": lambda x: x, "log_likelihood": lambda x, z: x}, "give one of these pairs"),
    "likelihood": (
        {"encoder": lambda x: x, "decoder": lambda z: z, "likelihood": "poisson"},
        "likelihood must be one of bernoulli, normal",
    ),
    "second": (
        {"encoder": lambda x: x, "decoder": lambda z: z, "second": "var"},
        "second must be one of",
    ),
    "scale": (
        {"encoder": lambda x: x, "decoder": lambda z: z, "scale": 0.5},
        "scale is the positive standard deviation of likelihood='normal'",
    ),
    "cholesky": (
        {"encoder": lambda x: x, "decoder": lambda z: z, "posterior": "full_normal"},
        "needs second='scale'",
    ),
    "sample": (
        {"encode": lambda x: x, "log_likelihood": lambda x, z: x, "sample": "normal"},
        "with a decode= to draw around",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_arguments_that_do_not_go_together_are_refused(name):
    options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        from_torch(**SHAPES, **options)


def test_answers_that_are_no_tensors_are_named(trio):
    encoder, decoder, data = trio
    with pytest.raises(
        ForeignError,
        match=r"encoder raised TypeError: it must return a pair \(loc, log_var\), and returned Tensor",
    ):
        jensen.account(from_torch(lambda x: encoder(x)[0], decoder, **SHAPES), data, key=KEY)
    with pytest.raises(ForeignError, match="likelihood='bernoulli' is no density of anything else"):
        jensen.account(from_torch(encoder, decoder, **SHAPES), data * 0.5, key=KEY)
    with pytest.raises(ForeignError, match="one number for each element is expected"):
        jensen.account(from_torch(encoder, lambda z: decoder(z)[:, :10], **SHAPES), data, key=KEY)
    with pytest.raises(ForeignError, match="where a tensor is expected"):
        jensen.account(
            from_torch(encoder, decoder, likelihood=lambda a, x: 3.0, **SHAPES), data, key=KEY
        )
    loss = torch.nn.functional.binary_cross_entropy_with_logits
    with pytest.raises(ForeignError, match="reduced by mean"):
        jensen.account(
            from_torch(encoder, decoder, likelihood=lambda a, x: -loss(a, x.flatten(1)), **SHAPES),
            data,
            key=KEY,
        )
