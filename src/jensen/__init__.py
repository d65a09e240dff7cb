"""jensen trains deep latent-variable models and accounts for every nat of their evidence lower bound.

import jax, jensen
data = jensen.load_dataset("digits")
model = jensen.vae(data.event_shape, latent_dim=16, prior="vamp", data=data, key=jax.random.key(0))
fit = jensen.fit(model, data, key=jax.random.key(1))
print(jensen.account(fit.model, data.test, key=jax.random.key(2)))
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from jensen import bounds as bounds
    from jensen import evidence as evidence
    from jensen import gradients as gradients
    from jensen import likelihoods as likelihoods
    from jensen import priors as priors
    from jensen._parameters import constant as constant
    from jensen.anatomy import Account as Account
    from jensen.anatomy import account as account
    from jensen.anatomy import compare as compare
    from jensen.anatomy import generalisation as generalisation
    from jensen.anatomy import surgery as surgery
    from jensen.anatomy.gaps import inference_gaps as inference_gaps
    from jensen.datasets import Dataset as Dataset
    from jensen.datasets import load_dataset as load_dataset
    from jensen.datasets import load_rows as load_rows
    from jensen.evidence import estimate_evidence as estimate_evidence
    from jensen.evidence._bidirectional import bidirectional as bidirectional
    from jensen.evidence._sandwich import sandwich as sandwich
    from jensen.fitting import Fit as Fit
    from jensen.fitting import fit as fit
    from jensen.interop import foreign as foreign
    from jensen.model import Model as Model
    from jensen.models.hvae import hvae as hvae
    from jensen.models.markov import markov as markov
    from jensen.models.vae import vae as vae
    from jensen.refitting import refit_prior as refit_prior
    from jensen.runs import Run as Run
    from jensen.runs import load as load
    from jensen.trial import try_prior as try_prior
    from jensen.variational import Target as Target
    from jensen.variational import VariationalFit as VariationalFit
    from jensen.variational import fit_variational as fit_variational
    from jensen.variational import from_log_joint as from_log_joint
    from jensen.variational import from_numpyro as from_numpyro
    from jensen.variational import from_pymc as from_pymc
    from jensen.variational import from_unconstrained as from_unconstrained
    from jensen.variational.expectation_propagation import (
        fit_expectation_propagation as fit_expectation_propagation,
    )
    from jensen.weights import LogWeights as LogWeights
    from jensen.weights import log_weights as log_weights

# The public face: name -> where it lives. Imported when first used, so that `jensen --help` need not wait for JAX.
_PUBLIC = {
    "Account": "jensen.anatomy",
    "account": "jensen.anatomy",
    "compare": "jensen.anatomy",
    "constant": "jensen._parameters",
    "generalisation": "jensen.anatomy",
    "surgery": "jensen.anatomy",
    "Dataset": "jensen.datasets",
    "load_dataset": "jensen.datasets",
    "load_rows": "jensen.datasets",
    "bidirectional": "jensen.evidence",
    "estimate_evidence": "jensen.evidence",
    "inference_gaps": "jensen.anatomy.gaps",
    "sandwich": "jensen.evidence",
    "Fit": "jensen.fitting",
    "fit": "jensen.fitting",
    "foreign": "jensen.interop",
    "Model": "jensen.model",
    "hvae": "jensen.models.hvae",
    "markov": "jensen.models.markov",
    "vae": "jensen.models.vae",
    "refit_prior": "jensen.refitting",
    "Run": "jensen.runs",
    "load": "jensen.runs",
    "try_prior": "jensen.trial",
    "Target": "jensen.variational",
    "VariationalFit": "jensen.variational",
    "fit_variational": "jensen.variational",
    "from_log_joint": "jensen.variational",
    "from_numpyro": "jensen.variational",
    "from_pymc": "jensen.variational",
    "from_unconstrained": "jensen.variational",
    "fit_expectation_propagation": "jensen.variational.expectation_propagation",
    "LogWeights": "jensen.weights",
    "log_weights": "jensen.weights",
}
_ROOMS = (
    "bounds",
    "gradients",
    "evidence",
    "priors",
    "likelihoods",
    "encoders",
    "decoders",
    "networks",
    "distributions",
    "datasets",
    "anatomy",
    "training",
    "interop",
    "variational",
)

__all__ = ["__version__", *_PUBLIC, *_ROOMS]


def __getattr__(name: str):
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"jensen.{name}")
    raise AttributeError(f"module 'jensen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
