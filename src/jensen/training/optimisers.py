"""The optimisers: Adam, and Adam on normalised gradients.

    adam              Adam(.9, .999, epsilon = 1e-8) (Kingma & Ba 2015, algorithm 1)
    adam_norm_grad    g <- g / (|g|_2 + 1e-7) for each parameter tensor, then Adam

The second is the "AdamNormGrad" of the code of Tomczak & Welling 2018. Training and resuming both
build optimisers here, so that their states agree.
"""

import jax
import jax.numpy as jnp
import optax

OPTIMISERS = ("adam", "adam_norm_grad")
NORM_FLOOR = 1e-7


def make_optimiser(
    name: str, learning_rate: float, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """Make the optimiser called `name`; `TrainingOptions` refuses unknown names.

    make_optimiser("adam_norm_grad", 5e-4).init(parameters)
    """
    adam = optax.adam(learning_rate, b1=0.9, b2=0.999, eps=epsilon)
    return {"adam": adam, "adam_norm_grad": optax.chain(normalise_each(), adam)}[name]


def normalise_each() -> optax.GradientTransformation:
    """Divide the gradient of each parameter tensor by its Euclidean norm plus 1e-7.

    A tensor's steps then do not depend on the scale of its gradient.

        transform = normalise_each()
        transform.update({"w": jnp.array([3.0, 4.0])}, optax.EmptyState())[0]  # {'w': [.6, .8]}
    """

    def normalise(gradient: jax.Array) -> jax.Array:
        # The largest entry is taken out first: squares of entries above 1e19 overflow in float32.
        largest = jnp.max(jnp.abs(gradient), initial=0.0)
        scaled = gradient / jnp.where(largest > 0, largest, 1.0)
        return gradient / (largest * jnp.sqrt(jnp.sum(jnp.square(scaled))) + NORM_FLOOR)

    return optax.stateless(lambda updates, parameters: jax.tree.map(normalise, updates))
