"""What a type checker says of code that uses jensen: read by pyright, never run.

A line that must be refused carries the rule that refuses it; were it accepted, the comment would be
unnecessary, and that is an error too.
"""
# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from typing import assert_type

import jax

import jensen
from jensen.priors import Vamp

data = jensen.load_dataset("digits")
assert_type(data, jensen.Dataset)
model = jensen.vae(data.event_shape, latent_dim=16, prior="vamp", data=data, key=jax.random.key(0))
assert_type(model, jensen.Model)
assert_type(jensen.bounds.ELBO(), jensen.bounds.ELBO)
assert_type(jensen.priors.Vamp, type[Vamp])
fitted = jensen.fit(model, data, bound=jensen.bounds.IWAE(), epochs=3, key=jax.random.key(1))
assert_type(fitted, jensen.Fit)
account = jensen.account(fitted.model, data.test, key=jax.random.key(2))
assert_type(account, jensen.Account)
assert_type(account.elbo.value, float)
assert_type(jensen.load("runs/digits"), jensen.Run)

jensen.no_such_name  # pyright: ignore[reportAttributeAccessIssue]
jensen.priors.NoSuchPrior  # pyright: ignore[reportAttributeAccessIssue]
jensen.fit(model, data)  # pyright: ignore[reportCallIssue]

# A bound and a gradient estimator by name, mapping, class or instance; training options by keyword.
key = jax.random.key(3)
jensen.fit(model, data, bound="iwae", gradient="pathwise", num_samples=5, key=key)
jensen.fit(model, data, bound={"name": "renyi", "alpha": 0.5}, warm_up=None, key=key)
jensen.fit(model, data, bound=jensen.bounds.IWAE, beta_schedule="cosine", key=key)
jensen.refit_prior(model, "vamp", data, epochs=5, learning_rate=0.01, key=key)
jensen.try_prior(model, Vamp, data, patience=0, key=key)

target = jensen.from_log_joint(lambda p: -(p["x"] ** 2), {"x": 0.0})
jensen.fit_variational(target, bound=jensen.bounds.IWAE, gradient={"name": "vimco"}, key=key)
jensen.fit_variational(target, gradient=3, key=key)  # pyright: ignore[reportArgumentType]

jensen.fit(model, data, epocs=3, key=key)  # pyright: ignore[reportCallIssue]
jensen.fit(model, data, epochs=2.5, key=key)  # pyright: ignore[reportArgumentType]
jensen.fit(model, data, epochs="3", key=key)  # pyright: ignore[reportArgumentType]
jensen.fit(model, data, beta_schedule="cyclic", key=key)  # pyright: ignore[reportArgumentType]
jensen.fit(model, data, bound=3, key=key)  # pyright: ignore[reportArgumentType]
jensen.fit(model, data, key)  # pyright: ignore[reportCallIssue]
jensen.refit_prior(model, "vamp", data, beta=2.0, key=key)  # pyright: ignore[reportCallIssue]
