"""An epoch of `jensen.fit`, progress and checkpoints included, against a bare compiled scan of the same model.

MLP VAE 784-300-300-40, batch 100, Adam, 50,000 rows of binary data. The bare scan is written by hand on the whole batch, with the one-pass Bernoulli
likelihood, uint8 data on the device, the library's mixture density and the same compiler option: the fastest we know. It neither validates, nor keeps a best
state, nor writes anything.
"""

import contextlib
import io
import tempfile

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import jensen
from _measure import interleaved
from jensen.distributions import DiagonalNormalMixture
from jensen.training.program import COMPILER_OPTIONS

ROWS, BATCH, PIXELS, HIDDEN, LATENT = 50_000, 100, 784, 300, 40
EPOCHS = {
    0: 16,
    500: 4,
}  # by the number of components: ten seconds and more, so that checkpoints count as in a real run


@jax.custom_vjp
def log_bernoulli(logits, x):
    return jnp.sum(x * logits - jax.nn.softplus(logits), -1)


def _forward(logits, x):
    e = jnp.exp(-jnp.abs(logits))
    value = jnp.sum(x * logits - jnp.maximum(logits, 0) - jnp.log1p(e), -1)
    return value, x - jnp.where(logits >= 0, 1.0, e) / (1 + e)


log_bernoulli.defvjp(_forward, lambda residual, g: (g[..., None] * residual, None))


def bare_scan(data, components: int):
    """(run one epoch, state); `components` > 0 makes the prior a VampPrior."""
    sizes = [
        (PIXELS, HIDDEN),
        (HIDDEN, HIDDEN),
        (HIDDEN, 2 * LATENT),
        (LATENT, HIDDEN),
        (HIDDEN, HIDDEN),
        (HIDDEN, PIXELS),
    ]
    keys = jr.split(jr.key(0), len(sizes) + 1)
    layers = [
        (jr.normal(k, s) / np.sqrt(s[0]), jnp.zeros(s[1]))
        for k, s in zip(keys, sizes, strict=False)
    ]
    parameters = {"layers": layers, "u": 0.1 * jr.normal(keys[-1], (components, PIXELS))}
    optimiser = optax.adam(1e-3)

    def encode(layers, x):
        h = x
        for w, b in layers[:2]:
            h = jax.nn.relu(h @ w + b)
        w, b = layers[2]
        loc, log_scale = jnp.split(h @ w + b, 2, axis=-1)
        return loc, log_scale

    def log_prior(parameters, z):
        if not components:
            return -0.5 * jnp.sum(z**2, -1)
        loc, log_scale = encode(parameters["layers"], jax.nn.sigmoid(parameters["u"]))
        return DiagonalNormalMixture(loc, jnp.exp(log_scale)).log_prob(z)

    def loss(parameters, x, key):
        x = x.astype(jnp.float32)
        layers = parameters["layers"]
        loc, log_scale = encode(layers, x)
        e = jr.normal(key, loc.shape)
        h = z = loc + jnp.exp(log_scale) * e
        for w, b in layers[3:5]:
            h = jax.nn.relu(h @ w + b)
        w, b = layers[5]
        log_q = -0.5 * jnp.sum(e**2, -1) - jnp.sum(log_scale, -1)
        return -jnp.mean(log_bernoulli(h @ w + b, x) + log_prior(parameters, z) - log_q)

    def epoch(parameters, state, key):
        def step(carry, index):
            parameters, state, t = carry
            value, gradient = jax.value_and_grad(loss)(parameters, data[index], jr.fold_in(key, t))
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(parameters, updates), state, t + 1), value

        order = jr.permutation(key, ROWS).reshape(-1, BATCH)
        (parameters, state, _), values = jax.lax.scan(step, (parameters, state, 0), order)
        return parameters, state, values.mean()

    state = (parameters, optimiser.init(parameters))
    compiled = jax.jit(epoch).lower(*state, jr.key(0)).compile(compiler_options=COMPILER_OPTIONS)

    def run():
        nonlocal state
        for i in range(EPOCHS[components]):
            parameters, optimiser_state, value = compiled(*state, jr.key(i))
            value.block_until_ready()
            state = (parameters, optimiser_state)

    return run


def main() -> list[str]:
    x = (np.random.RandomState(0).random_sample((ROWS + 11_000, 28, 28)) < 0.13).astype(np.uint8)
    train, validation, test = x[:ROWS], x[ROWS : ROWS + 10_000], x[-1000:]
    data = jnp.asarray(train.reshape(ROWS, PIXELS))

    def fit(name: str, prior: str, validation: np.ndarray):
        dataset = jensen.Dataset(name, train, validation, test)
        model = jensen.vae((28, 28), latent_dim=LATENT, prior=prior, data=dataset, key=jr.key(0))
        epochs = EPOCHS[500 if prior == "vamp" else 0]

        def run():
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
                done = jensen.fit(
                    model, dataset, epochs=epochs, patience=0, key=jr.key(1), out=f"{folder}/run"
                )
            # Everything after compiling: epochs, progress, metrics and checkpoints.
            walls.setdefault(name, []).append((done.seconds - compile_seconds[-1]) / epochs)

        return run

    walls: dict[str, list[float]] = {}
    compile_seconds: list[float] = []
    from jensen.progress import FitProgress

    original = FitProgress.compiled
    FitProgress.compiled = lambda self, s: (compile_seconds.append(s), original(self, s))[1]
    bare, bare_vamp = bare_scan(data, 0), bare_scan(data, 500)
    contestants = {
        "bare": bare,
        "fit": fit("fit", "standard_normal", validation[:0]),
        "fit+validation": fit("fit+validation", "standard_normal", validation),
        "bare vamp": bare_vamp,
        "fit vamp": fit("fit vamp", "vamp", validation[:0]),
    }
    found = interleaved(contestants, rounds=3)
    per_epoch = {
        name: float(np.median(walls[name][1:]))
        if name in walls
        else s / EPOCHS[500 if "vamp" in name else 0]
        for name, s in found.items()
    }
    lines = [f"seconds per epoch: {', '.join(f'{k} {v:.3f}' for k, v in per_epoch.items())}"]
    pairs = [
        ("fit", "bare", 1.10),
        ("fit+validation", "bare", None),
        ("fit vamp", "bare vamp", 1.10),
        ("fit vamp", "fit", 1.5),
        ("bare vamp", "bare", None),
    ]
    for a, b, aim in pairs:
        lines.append(
            f"{a} / {b}: {per_epoch[a] / per_epoch[b]:.3f}"
            + (f" (aim: {aim} or less)" if aim else "")
        )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
