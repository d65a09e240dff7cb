"""Every line of the account against a linear-Gaussian model, where all of them are known (validation.md case 4)."""

import jax
import numpy as np
import pytest
from scipy.special import logsumexp

import linear_gaussian
from jensen.anatomy import Account, account, active_units, compare
from jensen.anatomy.line_table import field_names

KEY = jax.random.key(5)


def truth(model: linear_gaussian.LinearGaussian, x: np.ndarray) -> dict[str, float]:
    """All lines for a model of one latent dimension: closed forms, and quadrature for KL(q(z) || p(z))."""
    loc, scale = (a[:, 0] for a in model.q(x))
    grid = np.linspace(-14, 14, 40_001)
    log_q = (
        logsumexp(-0.5 * ((grid[:, None] - loc) / scale) ** 2 - np.log(scale), axis=1)
        - np.log(len(x))
        - 0.5 * np.log(2 * np.pi)
    )
    log_p = -0.5 * grid**2 - 0.5 * np.log(2 * np.pi)
    marginal = float(np.sum(np.exp(log_q) * (log_q - log_p)) * (grid[1] - grid[0]))
    average = float(model.average_kl(x).mean())
    entropy = float(np.mean(0.5 * np.log(2 * np.pi * np.e * scale**2)))
    elbo = float(model.elbo(x).mean())
    return {
        "evidence": float(model.log_evidence(x).mean()),
        "jensen_gap": float(model.gap(x).mean()),
        "elbo": elbo,
        "reconstruction": float(model.reconstruction(x).mean()),
        "average_kl": average,
        "index_information": average - marginal,
        "marginal_kl": marginal,
        "expected_energy": entropy - elbo,
        "entropy": entropy,
    }


@pytest.mark.usefixtures("x64")
def test_every_line_agrees_with_its_closed_form():
    model = linear_gaussian.make(latent=1, stretch=1.3, shift=0.4)
    x = model.data(300, seed=0)
    found = account(model.model, x, key=KEY, num_samples=400, num_draws=200)
    for name, value in truth(model, x).items():
        line = found.line(name)
        assert abs(line.value - value) < 5 * line.standard_error, name
        assert line.standard_error < 0.02, name


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("draws", [1, 3])
def test_the_identities_close_on_the_same_draws(draws):
    model = linear_gaussian.make(latent=2)
    found = account(model.model, model.data(50, seed=1), key=KEY, num_samples=50, num_draws=draws)
    v = {name: found.line(name).value for name in field_names()}
    assert v["elbo"] == pytest.approx(v["reconstruction"] - v["average_kl"], abs=1e-10)
    assert v["average_kl"] == pytest.approx(v["index_information"] + v["marginal_kl"], abs=1e-10)
    assert v["elbo"] == pytest.approx(-v["expected_energy"] + v["entropy"], abs=1e-10)
    assert v["evidence"] == pytest.approx(v["elbo"] + v["jensen_gap"], abs=1e-10)


@pytest.mark.usefixtures("x64")
def test_the_exact_posterior_has_no_jensen_gap():
    model = linear_gaussian.make(orthogonal=True)
    found = account(model.model, model.data(60, seed=2), key=KEY, num_samples=50, num_draws=2)
    assert abs(found.jensen_gap.value) < 1e-10


@pytest.mark.usefixtures("x64")
def test_the_standard_error_is_that_of_repeated_accounts():
    model = linear_gaussian.make(latent=1, stretch=1.2)
    x = model.data(40, seed=3)
    repeats = [
        account(model.model, x, key=jax.random.key(i), num_samples=30, num_draws=4)
        for i in range(60)
    ]
    for name in field_names():
        spread = np.std([a.line(name).value for a in repeats], ddof=1)
        said = np.sqrt(np.mean([a.line(name).standard_error ** 2 for a in repeats]))
        # The standard deviation of 60 repeats has a relative standard error of 1 / sqrt(2 * 59) = 9%.
        assert abs(spread / said - 1) < 5 * 0.092, name


@pytest.mark.usefixtures("x64")
def test_a_collapsed_code_carries_nothing_and_the_verdict_says_so():
    model = linear_gaussian.LinearGaussian(np.zeros((4, 2)), np.zeros(4), 1.0)
    found = account(model.model, model.data(80, seed=4), key=KEY, num_samples=50)
    assert abs(found.index_information.value) < 1e-10
    assert found.active_units == 0
    assert found.verdicts[0].startswith("Collapsed: I(n; z) is 0.00 nats")
    assert len(found.verdicts) == 1


@pytest.mark.usefixtures("x64")
def test_a_saturated_code_is_at_log_n_and_the_verdict_says_so():
    model = linear_gaussian.make(dimension=12, latent=6, s2=1e-6)
    found = account(model.model, model.data(100, seed=5), key=KEY, num_samples=50)
    assert found.index_information.value == pytest.approx(np.log(100), abs=1e-6)
    assert found.verdicts[0].startswith("Saturated")


@pytest.mark.usefixtures("x64")
def test_a_misplaced_encoder_is_named_as_prior_and_posterior_trouble():
    model = linear_gaussian.make(shift=3.0)
    found = account(model.model, model.data(80, seed=6), key=KEY, num_samples=500)
    assert any(v.startswith("Posterior: the Jensen gap") for v in found.verdicts)
    assert any(v.startswith("Prior: the marginal KL") for v in found.verdicts)


def test_active_units_counts_means_that_move():
    rng = np.random.default_rng(0)
    means = rng.normal(size=(5000, 4)) * np.sqrt([1.0, 0.02, 0.005, 0.0])
    assert active_units(means) == 2


@pytest.mark.usefixtures("x64")
def test_an_account_survives_storage_and_becomes_xarray():
    model = linear_gaussian.make()
    found = account(model.model, model.data(30, seed=7), key=KEY, num_samples=50, fingerprint="abc")
    again = Account.from_json(found.to_json(), found.arrays())
    assert again.to_json() == found.to_json()
    assert str(again) == str(found)
    dataset = found.to_dataset()
    for name in field_names():
        assert float(dataset[name].mean()) == pytest.approx(found.line(name).value, abs=1e-12)
        assert dataset[name].attrs["standard_error"] == pytest.approx(
            found.line(name).error, nan_ok=True
        )


@pytest.mark.usefixtures("x64")
def test_a_comparison_is_paired_on_the_data():
    good, bad = linear_gaussian.make(), linear_gaussian.make(stretch=1.5)
    x = good.data(200, seed=8)
    a, b = (
        account(m.model, x, key=KEY, num_samples=200, num_draws=30, fingerprint="same")
        for m in (good, bad)
    )
    found = compare(a, b, names=("good", "bad")).lines["elbo"]
    exact = bad.elbo(x) - good.elbo(x)
    assert abs(found.difference - exact.mean()) < 5 * found.standard_error
    # Unpaired, the spread of the ELBO over the data would drown the difference.
    assert found.standard_error < 0.2 * a.elbo.data_error
    assert compare(a, a).lines["elbo"].difference == 0
    with pytest.raises(ValueError, match="not evaluated on the same data points"):
        compare(a, account(good.model, x, key=KEY, num_samples=20, fingerprint="other"))


def test_no_account_without_data_or_with_a_density_that_is_not_finite():
    model = linear_gaussian.make()
    x = model.data(5, seed=9).astype(np.float32)
    with pytest.raises(ValueError, match="no data"):
        account(model.model, x[:0], key=KEY)
    x[3, 1] = np.inf
    with pytest.raises(ValueError, match="not finite for datum 3"):
        account(model.model, x, key=KEY)


@pytest.mark.usefixtures("x64")
def test_the_share_of_untrusted_data_is_called_that():
    model = linear_gaussian.make(stretch=0.2)  # too narrow: heavy tails of the weights
    found = account(model.model, model.data(30, seed=7), key=KEY, num_samples=50)
    k_hat, threshold = found.evidence_estimate.pareto_k, found.to_json()["pareto_k_threshold"]
    assert found.untrusted_share == np.mean(~(k_hat <= threshold)) > 0
    assert found.k_hat_max == k_hat.max() > threshold
    values = found.to_json()
    assert values["untrusted_share"] == values["pareto_k"] == found.untrusted_share
    assert values["k_hat_max"] == found.k_hat_max
    np.testing.assert_array_equal(found.arrays()["pareto_k"], k_hat)  # per datum it is k-hat
    with pytest.warns(DeprecationWarning, match="now called untrusted_share"):
        assert found.pareto_k == found.untrusted_share
