"""A fit in float64 and NumPyro in float32 use the same NumPy arrays in one process."""

import gc
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jensen.variational import _array_conversions as conversions

# NumPyro's programs and a fit, all with the same float64 arrays: as arguments and as constants.
CHILD = """
import sys
import jax, numpy as np, numpyro, numpyro.distributions as dist, jensen
from numpyro.infer import MCMC, NUTS, SVI, Trace_ELBO, autoguide
from scipy.stats import norm

y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
sd = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
shift = np.linspace(-1, 1, 8)
precision = 1 / 25 + np.sum(1 / sd**2)
mean = np.sum((y - shift) / sd**2) / precision

def model(sd, y=None):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    with numpyro.plate("J", 8):
        numpyro.sample("y", dist.Normal(mu + shift, sd), obs=y)

def nuts():
    mcmc = MCMC(NUTS(model), num_warmup=100, num_samples=200, progress_bar=False)
    mcmc.run(jax.random.key(0), sd, y)
    mu = mcmc.get_samples()["mu"]
    assert mu.dtype == "float32"
    assert abs(mu.mean() - mean) < 5 / np.sqrt(30 * precision)

def svi():
    guide = autoguide.AutoNormal(model)
    trained = SVI(model, guide, numpyro.optim.Adam(0.01), Trace_ELBO()).run(
        jax.random.key(0), 10, sd, y, progress_bar=False
    )
    assert trained.losses.dtype == "float32" and np.isfinite(trained.losses).all()

def log_prob():
    np.testing.assert_allclose(dist.Normal(shift, sd).log_prob(y), norm(shift, sd).logpdf(y), 1e-5)

def fit():
    q = jensen.fit_variational(
        jensen.from_numpyro(model, sd, y), "full_rank", key=jax.random.key(0), num_draws=1000
    )
    assert q.draws["mu"].dtype == "float64"
    assert abs(q.elbo.value - q.evidence.value) < 1e-9  # float32 would be off by 1e-6
    assert abs(q.mean()["mu"] - mean) < 5 / np.sqrt(1000 * precision)

for step in [fit, nuts, svi, log_prob] if sys.argv[1] == "fit" else [nuts, fit, log_prob, svi]:
    step()
"""


@pytest.mark.parametrize("first", ["fit", "nuts"])
def test_numpyro_works_before_and_after_a_fit_with_the_same_arrays(first):
    done = subprocess.run([sys.executable, "-c", CHILD, first], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_array_is_converted_once_for_each_precision_and_forgotten_with_it():
    class Converted:
        def __init__(self, array):
            self.dtype = np.dtype("f8" if jax.config.jax_enable_x64 else "f4")

    convert = conversions._ByIdentityAndPrecision(Converted)
    array, other = np.zeros(3), np.zeros(3)
    single = convert(array)
    with jax.enable_x64(True):
        double = convert(array)
    assert (single.dtype, double.dtype) == ("f4", "f8")
    assert convert(array) is single and convert(other) is not single
    del array, single, double, other
    gc.collect()
    assert convert._results == {}


def test_the_fault_is_detected_and_its_absence_too():
    one_for_all = {}
    mixed = lambda array: one_for_all.setdefault(id(array), jnp.asarray(array))  # noqa: E731
    assert conversions._mixes_precisions(mixed)
    assert not conversions._mixes_precisions(jnp.asarray)


def test_internals_that_have_gone_are_left_alone(monkeypatch):
    from jax._src import dtypes

    monkeypatch.delattr(dtypes, "canonicalize_value")
    assert conversions.keep_precisions_apart.__wrapped__() is False
