"""A NumPyro model with an amortised guide, trained on the digits for seconds, and its account: python examples/numpyro_guide.py."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import SVI, Trace_ELBO

import jensen
from jensen.interop.numpyro import from_numpyro_guide

LATENT, HIDDEN = 8, 200


def layers(name, x, *sizes):
    for i, (n, m) in enumerate(itertools.pairwise(sizes)):
        w = numpyro.param(
            f"{name}{i}.w", lambda key, n=n, m=m: jax.random.normal(key, (n, m)) / n**0.5
        )
        x = (jax.nn.relu(x) if i else x) @ w + numpyro.param(f"{name}{i}.b", jnp.zeros(m))
    return x


def model(x):
    with numpyro.plate("data", x.shape[0]):
        z = numpyro.sample("z", dist.Normal(jnp.zeros(LATENT), 1.0).to_event(1))
        logits = layers("decoder", z, LATENT, HIDDEN, 64).reshape(-1, 8, 8)
        numpyro.sample("obs", dist.Bernoulli(logits=logits).to_event(2), obs=x)


def guide(x):
    loc, log_scale = jnp.split(
        layers("encoder", x.reshape(-1, 64), 64, HIDDEN, 2 * LATENT), 2, axis=-1
    )
    with numpyro.plate("data", x.shape[0]):
        numpyro.sample("z", dist.Normal(loc, jnp.exp(log_scale)).to_event(1))


def train(data, steps=400):
    rows = np.random.default_rng(0).binomial(1, data.train / data.levels).astype("float32")
    svi = SVI(model, guide, numpyro.optim.Adam(2e-3), Trace_ELBO())
    return svi.run(jax.random.key(0), steps, rows, progress_bar=False).params


if __name__ == "__main__":
    digits = jensen.load_dataset("digits")
    fitted = from_numpyro_guide(model, guide, train(digits), event_shape=(8, 8))
    print(jensen.account(fitted, digits.test, key=jax.random.key(0)))
