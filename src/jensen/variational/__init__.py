"""Variational inference on any log-density, with a family of q of your choice.

A target (`from_log_joint`, `from_unconstrained`, `from_numpyro`, `from_pymc`) and a family
(`families/`) make a `Model` of one datum, so that the bounds, gradient estimators, evidence and
diagnostics of the other rooms apply to it unchanged. `fit_variational` returns a `VariationalFit`.

Fits by closed-form updates, expectation propagation and coordinate ascent, are in
`jensen.deterministic`; their earlier paths below this room stay importable.
"""

from jensen.variational._log_joint import from_log_joint as from_log_joint
from jensen.variational._log_joint import from_unconstrained as from_unconstrained
from jensen.variational._numpyro import from_numpyro as from_numpyro
from jensen.variational._problem import as_model as as_model
from jensen.variational._problem import datum as datum
from jensen.variational._pymc import from_pymc as from_pymc
from jensen.variational.fit import fit_variational as fit_variational
from jensen.variational.result import VariationalFit as VariationalFit
from jensen.variational.target import Target as Target
