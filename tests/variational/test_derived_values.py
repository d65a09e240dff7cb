"""Values that are no parameters: constants are not judged, and large derived values are kept on request."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

import jensen
from jensen.variational._draws import draws_at_a_time

KEY = jr.key(0)
# Eight pairs with correlation .5, as an exact covariance.
PAIRS = np.linalg.cholesky([[1.0, 0.5], [0.5, 1.0]]) @ np.array(
    [[1, 1, -1, -1, 1, 1, -1, -1], [1, -1, 1, -1, 1, -1, 1, -1]]
)


def correlations(y):
    factor = numpyro.sample("L", dist.LKJCholesky(2, 1.0))
    numpyro.deterministic("R", factor @ factor.T)
    numpyro.deterministic("twelve", jnp.asarray(12.0))
    numpyro.sample("y", dist.MultivariateNormal(jnp.zeros(2), scale_tril=factor), obs=y)


def test_constants_are_not_judged_and_are_marked():
    fit = jensen.fit_variational(
        jensen.from_numpyro(correlations, PAIRS.T), "mean_field", key=KEY, num_draws=5000
    )
    np.testing.assert_array_equal(fit.constant["L"], [[True, True], [False, False]])
    np.testing.assert_array_equal(fit.constant["R"], [[True, False], [False, True]])
    for weighted in (False, True):
        assert fit.mean(weighted=weighted)["R"][1, 1] == pytest.approx(1, abs=1e-15)
        assert fit.sd(weighted=weighted)["R"][1, 1] == pytest.approx(0, abs=1e-15)
    assert fit.sd(linear_response=True)["twelve"] == 0
    for constant in ("L[0,0]", "L[0,1]", "R[0,0]", "R[1,1]", "twelve"):
        assert not any(constant in verdict for verdict in fit.verdicts)
        (row,) = [line for line in str(fit).splitlines() if line.startswith(constant)]
        assert "constant" in row
    (row,) = [line for line in str(fit).splitlines() if line.startswith("R[1,0]")]
    assert "constant" not in row


def test_a_narrow_parameter_far_from_0_is_no_constant():
    far = jensen.from_unconstrained(lambda u: -0.5 * jnp.sum((u - 1e9) ** 2), size=1)
    fit = jensen.fit_variational(far, "mean_field", key=KEY, num_draws=500)
    assert not fit.constant["u"].any()
    assert fit.sd()["u"] == pytest.approx(1, rel=5 / np.sqrt(1000))


ROWS = np.linspace(-1, 1, 1500)


def with_rows():
    b = numpyro.sample("b", dist.Normal(0, 1))
    numpyro.deterministic("rows", b * ROWS)
    numpyro.deterministic("few", b * ROWS[:1000])
    numpyro.sample("y", dist.Normal(b, 1), obs=np.array([1.0, 2.0]))


def test_large_derived_values_are_kept_on_request_only():
    target = jensen.from_numpyro(with_rows)
    fit = jensen.fit_variational(target, "full_rank", key=KEY, num_draws=200)
    assert set(fit.draws) == {"b", "few"} and fit.left_out == {"rows": (1500,)}
    assert len(
        fit.names
    ) == 1001 and "Derived values that are not stored, for their size: rows [1500]" in str(fit)
    np.testing.assert_allclose(fit.derived("rows", 50), fit.draws["b"][:50, None] * ROWS)
    kept = jensen.fit_variational(target, "full_rank", key=KEY, num_draws=200, keep=("rows",))
    assert kept.left_out == {} and "not stored" not in str(kept)
    np.testing.assert_allclose(kept.draws["rows"], kept.draws["b"][:, None] * ROWS)
    np.testing.assert_array_equal(kept.draws["b"], fit.draws["b"])
    assert kept.sd()["rows"] == pytest.approx(kept.draws["rows"].std(axis=0), rel=1e-10)
    with pytest.raises(ValueError, match=r"num_draws must be from 1 to the 200 draws; got 201"):
        fit.derived("rows", 201)
    with pytest.raises(ValueError, match=r"the target has no 'row' \(did you mean 'rows'"):
        fit.derived("row")


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (("row",), r"keep= names 'row', which the target does not have \(did you mean 'rows'"),
        ("rows", r"keep= must be a tuple of names, such as \('rows',\)"),
    ],
)
def test_what_cannot_be_kept_is_refused(keep, message):
    with pytest.raises(ValueError, match=message):
        jensen.fit_variational(jensen.from_numpyro(with_rows), key=KEY, keep=keep)


def test_a_large_latent_site_is_always_kept():
    wide = jensen.from_log_joint(
        lambda p: dist.Normal(0.0, 1.0).log_prob(p["a"]).sum(), {"a": np.zeros(1200)}
    )
    assert jensen.variational._draws.names_to_keep(wide, ()) == ("a",)


def test_draws_are_made_in_blocks_that_fit_the_models_largest_array(x64):
    assert draws_at_a_time(jensen.from_numpyro(correlations, PAIRS.T)) == 1000
    assert draws_at_a_time(jensen.from_numpyro(with_rows)) == 1000
    rows = 2**21 // 100
    wide = jensen.from_unconstrained(lambda u: -jnp.sum((u - jnp.arange(rows)) ** 2), size=1)
    assert draws_at_a_time(wide) == 100


def test_blocks_change_no_draw(monkeypatch):
    target = jensen.from_numpyro(with_rows)
    whole = jensen.fit_variational(target, "full_rank", key=KEY, num_draws=200)
    monkeypatch.setattr(jensen.variational._draws, "LARGEST", 1500 * 7)
    with jax.enable_x64(True):
        assert draws_at_a_time(target) == 7
    again = jensen.fit_variational(target, "full_rank", key=KEY, num_draws=200)
    np.testing.assert_allclose(again.log_p, whole.log_p, rtol=1e-13)
    np.testing.assert_array_equal(again.derived("rows", 20), whole.derived("rows", 20))
