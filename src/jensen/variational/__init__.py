"""Variational inference on any log-density. Nothing here has bounds, gradients or evidence of its
own: a target and a family are a `Model` of one datum.
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
