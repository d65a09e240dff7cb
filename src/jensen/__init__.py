"""jensen trains deep latent-variable models and accounts for every nat of their evidence lower bound.

import jax, jensen
data = jensen.load_dataset("digits")
model = jensen.vae(data.event_shape, latent_dim=16, prior="vamp", data=data, key=jax.random.key(0))
fit = jensen.fit(model, data, key=jax.random.key(1))
print(jensen.account(fit.model, data.test, key=jax.random.key(2)))
"""

import lazy_loader

__version__ = "0.1.0"

# The public names are those of __init__.pyi, which type checkers and editors read, too. Each is
# imported when it is first used, so that `jensen --help` does not wait for JAX.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]  # pyright: ignore[reportUnsupportedDunderAll]
