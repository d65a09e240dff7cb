"""The optimisers: Adam, and the Adam on normalised gradients of the VampPrior authors' code. Built here alone, for training and for resuming.

adam                 Adam(.9, .999, epsilon = 1e-8) (Kingma & Ba 2015, algorithm 1)
adam_norm_grad       g <- g / (|g|_2 + 1e-7) for each parameter tensor by itself, then Adam ("AdamNormGrad", the code of Tomczak & Welling 2018)
"""

import jax
import jax.numpy as jnp
import optax

OPTIMISERS = ("adam", "adam_norm_grad")
NORM_FLOOR = 1e-7


def make_optimiser(
    name: str, learning_rate: float, epsilon: float = 1e-8
) -> optax.GradientTransformation:
    """The optimiser called `name`; `TrainingOptions` refuses other names.

    make_optimiser("adam_norm_grad", 5e-4).init(parameters)
    """
    adam = optax.adam(learning_rate, b1=0.9, b2=0.999, eps=epsilon)
    return {"adam": adam, "adam_norm_grad": optax.chain(normalise_each(), adam)}[name]


def normalise_each() -> optax.GradientTransformation:
    """Divides the gradient of each parameter tensor by its own Euclidean norm plus 1e-7, so that no tensor's steps depend on the scale of its gradient.

    normalise_each().update({"w": jnp.array([3.0, 4.0])}, optax.EmptyState())[0]  # {'w': [.6, .8]}
    """

    def normalise(gradient: jax.Array) -> jax.Array:
        # The largest entry is taken out first: squares of entries above 1e19 overflow in float32.
        largest = jnp.max(jnp.abs(gradient), initial=0.0)
        scaled = gradient / jnp.where(largest > 0, largest, 1.0)
        return gradient / (largest * jnp.sqrt(jnp.sum(jnp.square(scaled))) + NORM_FLOOR)

    return optax.stateless(lambda updates, parameters: jax.tree.map(normalise, updates))
