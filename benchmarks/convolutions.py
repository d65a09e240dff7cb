"""A training step with a convolutional encoder and a convolutional or a masked decoder, as `jensen.fit` compiles it, against the same written by hand.

Gated convolutions 16(7,s1)-16(3,s2)-8(3,s2) and 300 -> dense to 784, twice 16(3), 1x1 (masked: three layers of 16(3)); one sample, batch 50, Adam,
binary 28x28 data. The bare step works on whole batches and is compiled in a loop with the same option. Twice: with the library's derivative of a convolution,
and with JAX's own, whose layouts XLA runs slowly in a loop on a CPU.
"""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import jensen
from _measure import interleaved
from jensen._parameters import partition
from jensen.bounds import ELBO
from jensen.gradients import Pathwise
from jensen.networks._convolution import _convolve_batch
from jensen.training import TrainingOptions
from jensen.training.program import COMPILER_OPTIONS, Objective, compile_epoch
from jensen.training.state import initial_state

BATCH, STEPS, LATENT, HIDDEN = 50, 6, 20, 300
ENCODER = {"channels": [16, 16, 8], "kernels": [7, 3, 3], "strides": [1, 2, 2]}
DECODER = {"name": "gated_conv", "hidden": [HIDDEN], "channels": [16, 16], "kernels": [3, 3]}
MASKED = {"name": "pixel_cnn", "hidden": [HIDDEN], "channels": 16, "num_layers": 3, "kernel": 3}
TAPS = np.arange(9).reshape(3, 3, 1, 1)
SEEN = [
    TAPS < 4,
    TAPS <= 4,
    TAPS <= 4,
]  # by each masked layer: the first sees not even its own pixel


def own(images, weight, stride):
    padding = [((k - 1) // 2, k // 2) for k in weight.shape[:2]]
    return jax.lax.conv_general_dilated(
        images, weight, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def gate(x):
    value, gate = jnp.split(x, 2, axis=-1)
    return value * jax.nn.sigmoid(gate)


def bare_step(convolve, data, *, masked=False):
    """One pass over the data, with the decoder MASKED or DECODER; returns a function that runs it."""

    def layer(key, *shape):
        return jr.normal(key, shape) * np.sqrt(2 / np.prod(shape[:-1])), jnp.zeros(shape[-1])

    keys = iter(jr.split(jr.key(0), 20))
    depths = [1, *ENCODER["channels"]]
    parameters = {
        "in": [
            layer(next(keys), k, k, a, 2 * b)
            for a, b, k in zip(depths, depths[1:], ENCODER["kernels"], strict=False)
        ],
        "code": layer(next(keys), 7 * 7 * 8, 2 * LATENT),
        "dense": [layer(next(keys), LATENT, 2 * HIDDEN), layer(next(keys), HIDDEN, 2 * 784)],
        "out": [layer(next(keys), 3, 3, a, 32) for a in (1, 16)]
        if not masked
        else [layer(next(keys), 3, 3, a, 16) for a in (1, 16, 16)],
        "z": layer(next(keys), 3, 3, 1, 16)[0] if masked else None,
        "head": (layer(next(keys), 16, 1)[0], jnp.zeros((28, 28, 1))),
    }
    optimiser = optax.adam(1e-3)

    def loss(p, x, key):
        x = x.astype(jnp.float32)[..., None]
        h = x
        for (w, b), stride in zip(p["in"], ENCODER["strides"], strict=True):
            h = gate(convolve(h, w, stride) + b)
        loc, log_scale = jnp.split(h.reshape(BATCH, -1) @ p["code"][0] + p["code"][1], 2, axis=-1)
        noise = jr.normal(key, loc.shape)
        h = z = loc + jnp.exp(log_scale) * noise
        for w, b in p["dense"]:
            h = gate(h @ w + b)
        h = h.reshape(BATCH, 28, 28, 1)
        if masked:
            from_z = convolve(h, p["z"], 1)
            h = x
            for i, (w, b) in enumerate(p["out"]):
                h = jax.nn.relu(convolve(h, w * SEEN[i], 1) + b + (0 if i else from_z))
        else:
            for w, b in p["out"]:
                h = gate(convolve(h, w, 1) + b)
        logits = h @ p["head"][0] + p["head"][1]
        log_likelihood = jnp.sum(x * logits - jax.nn.softplus(logits), (1, 2, 3))
        return -jnp.mean(log_likelihood + jnp.sum(-0.5 * z**2 + 0.5 * noise**2 + log_scale, -1))

    def epoch(carry, key):
        def step(carry, t):
            p, state = carry
            value, gradient = jax.value_and_grad(loss)(
                p, data[jr.randint(jr.fold_in(key, t), (BATCH,), 0, len(data))], jr.fold_in(key, t)
            )
            updates, state = optimiser.update(gradient, state)
            return (optax.apply_updates(p, updates), state), value

        return jax.lax.scan(step, carry, jnp.arange(STEPS))

    carry = (parameters, optimiser.init(parameters))
    compiled = jax.jit(epoch).lower(carry, jr.key(0)).compile(compiler_options=COMPILER_OPTIONS)
    return lambda: jax.block_until_ready(compiled(carry, jr.key(1)))


def jensen_step(data, decoder):
    encoder = {"name": "gated_conv", **ENCODER}
    model = jensen.vae(
        (28, 28), latent_dim=LATENT, encoder_network=encoder, decoder=decoder, key=jr.key(0)
    )
    options = TrainingOptions(epochs=10, batch_size=BATCH)
    optimiser = optax.adam(options.learning_rate)
    static = partition(model).static
    arguments = (initial_state(model, optimiser), data, data[:0], jr.key(1))
    compiled = compile_epoch(
        Objective(static, ELBO(), Pathwise(), optimiser, options, None), *arguments
    )
    return lambda: jax.block_until_ready(compiled(*arguments))


def main() -> list[str]:
    data = jnp.asarray(
        (np.random.RandomState(0).random_sample((BATCH * STEPS, 28, 28)) < 0.13).astype(np.uint8)
    )
    contestants = {
        "jensen": jensen_step(data, DECODER),
        "by hand": bare_step(_convolve_batch, data),
        "by hand, derivative by JAX": bare_step(own, data),
        "jensen, masked": jensen_step(data, MASKED),
        "masked by hand": bare_step(_convolve_batch, data, masked=True),
    }
    seconds = interleaved(contestants, rounds=5)
    lines = [f"{name}: {1e3 * s / STEPS:.1f} ms per step" for name, s in seconds.items()]
    lines.append(
        f"jensen / by hand: {seconds['jensen'] / seconds['by hand']:.2f} (aim: 1.10 or less)"
    )
    lines.append(
        f"jensen / by hand, masked decoder: {seconds['jensen, masked'] / seconds['masked by hand']:.2f} (aim: 1.10 or less)"
    )
    lines.append(
        f"derivative by JAX / the library's, both by hand: {seconds['by hand, derivative by JAX'] / seconds['by hand']:.1f}"
    )
    return lines


if __name__ == "__main__":
    print("\n".join(main()))
