"""Pythae's models: the density against its own loss and its own prior, and folders."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jensen
from jensen.interop import ForeignError

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra `pythae`)")
known = pytest.importorskip("pythae.models", reason="Pythae is not installed (extra `pythae`)")
from jensen.interop.pythae import from_pythae  # noqa: E402

KEY = jr.key(0)
SHAPE = (1, 4, 4)


def make(kind: str, loss: str):
    torch.manual_seed(3)
    options = (
        {"number_components": 5} if kind == "VAMP" else {"beta": 4.0} if kind == "BetaVAE" else {}
    )
    config = getattr(known, f"{kind}Config")(
        input_dim=SHAPE, latent_dim=3, reconstruction_loss=loss, **options
    )
    return getattr(known, kind)(config)


def rows(loss: str) -> np.ndarray:
    values = np.random.default_rng(1).random((12, *SHAPE)).astype(np.float32)
    return (values > 0.5).astype(np.float32) if loss == "bce" else values


@pytest.mark.parametrize("loss", ["bce", "mse"])
@pytest.mark.parametrize("kind", ["VAE", "BetaVAE", "VAMP", "IWAE"])
def test_the_densities_are_those_of_pythaes_own_loss(kind, loss):
    vae, x = make(kind, loss), rows(loss)
    model = from_pythae(vae)
    tensor = torch.tensor(x)
    with torch.no_grad():
        encoded = vae.encoder(tensor)
        z = encoded.embedding + 0.3
        reconstruction = vae.decoder(z)["reconstruction"]
        if kind == "IWAE":
            vae.n_samples, many = 1, lambda a: a.unsqueeze(1)
            losses = [
                vae.loss_function(
                    many(reconstruction[i : i + 1].flatten(1)),
                    tensor[i : i + 1],
                    *(many(a[i : i + 1]) for a in (encoded.embedding, encoded.log_covariance, z)),
                )[1]
                for i in range(12)
            ]
        else:
            extra = (1,) if kind == "VAMP" else ()
            losses = [
                vae.loss_function(
                    *(
                        a[i : i + 1]
                        for a in (
                            reconstruction,
                            tensor,
                            encoded.embedding,
                            encoded.log_covariance,
                            z,
                        )
                    ),
                    *extra,
                )[1]
                for i in range(12)
            ]
    constant = 0.0 if loss == "bce" else 16 / 2 * np.log(2 * np.pi)
    ours = [
        float(model.decoder(jnp.asarray(z[i].numpy())).log_prob(jnp.asarray(x[i])))
        for i in range(12)
    ]
    np.testing.assert_allclose(ours, [-float(value) - constant for value in losses], rtol=1e-5)
    posterior = model.encoder(jnp.asarray(x[0])).base_dist
    np.testing.assert_allclose(
        posterior.scale, np.exp(0.5 * encoded.log_covariance[0].numpy()), rtol=1e-5
    )
    np.testing.assert_allclose(posterior.loc, encoded.embedding[0].numpy(), rtol=1e-4, atol=1e-6)


def test_the_prior_of_a_vamp_is_the_mixture_at_its_pseudo_inputs():
    vae = make("VAMP", "bce")
    model = from_pythae(vae)
    z = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = vae._log_p_z(z) - 1.5 * np.log(
            2 * np.pi
        )  # Pythae leaves this constant out, in prior and posterior alike
    np.testing.assert_allclose(
        model.prior(model.encoder).log_prob(jnp.asarray(z.numpy())), theirs, rtol=1e-4
    )
    plain = from_pythae(make("BetaVAE", "bce"))
    assert float(plain.prior(plain.encoder).log_prob(jnp.zeros(3))) == pytest.approx(
        -1.5 * np.log(2 * np.pi), rel=1e-6
    )


def test_the_evidence_is_that_of_pythaes_own_estimate():
    vae, x = make("VAE", "mse"), rows("mse")
    acc = jensen.account(from_pythae(vae), x, key=KEY, num_samples=2000)
    torch.manual_seed(0)
    theirs = vae.get_nll(torch.tensor(x), n_samples=2000, batch_size=2000)
    # get_nll samples the same estimate; its own error is of the size of ours.
    assert abs(acc.evidence.value - theirs) < 5 * 2**0.5 * acc.evidence.standard_error
    assert vae.training


def test_a_folder_is_read_if_it_is_trusted(tmp_path):
    vae, x = make("VAMP", "bce"), rows("bce")
    vae.save(str(tmp_path / "saved"))
    with pytest.raises(ValueError, match=r"executes what its writer put there.*trust_code=True"):
        from_pythae(tmp_path / "saved")
    one, two = (
        jensen.account(from_pythae(m, trust_code=True), x, key=KEY, num_samples=20)
        for m in (tmp_path / "saved", vae)
    )
    assert one.elbo.value == two.elbo.value
    with pytest.raises(ValueError, match=r"holds no model_config\.json"):
        from_pythae(str(tmp_path), trust_code=True)
    (tmp_path / "saved" / "model.pt").write_bytes(b"no")
    with pytest.raises(ValueError, match="Pythae cannot read"):
        from_pythae(tmp_path / "saved", trust_code=True)


def test_what_has_no_density_and_what_is_not_known_is_refused():
    with pytest.raises(
        ForeignError, match="reconstruction_loss='bce' is no density of anything else"
    ):
        jensen.account(from_pythae(make("VAE", "bce")), rows("mse"), key=KEY)
    config = known.AEConfig(input_dim=SHAPE, latent_dim=3)
    with pytest.raises(ValueError, match="VAE, BetaVAE, VAMP, IWAE are supported; got AE"):
        from_pythae(known.AE(config))
