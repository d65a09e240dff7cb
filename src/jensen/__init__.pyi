"""The public names of jensen: what `import jensen` offers, and where it lies."""

from . import anatomy as anatomy
from . import bounds as bounds
from . import datasets as datasets
from . import decoders as decoders
from . import distributions as distributions
from . import encoders as encoders
from . import evidence as evidence
from . import gradients as gradients
from . import interop as interop
from . import likelihoods as likelihoods
from . import networks as networks
from . import priors as priors
from . import sessions as sessions
from . import training as training
from . import variational as variational
from ._parameters import constant as constant
from .anatomy import Account as Account
from .anatomy import account as account
from .anatomy import compare as compare
from .anatomy import generalisation as generalisation
from .anatomy import surgery as surgery
from .anatomy.gaps import inference_gaps as inference_gaps
from .datasets import Dataset as Dataset
from .datasets import load_dataset as load_dataset
from .datasets import load_rows as load_rows
from .evidence import bidirectional as bidirectional
from .evidence import estimate_evidence as estimate_evidence
from .evidence import sandwich as sandwich
from .interop import foreign as foreign
from .model import Model as Model
from .models.hvae import hvae as hvae
from .models.markov import markov as markov
from .models.vae import vae as vae
from .refitting import refit_prior as refit_prior
from .runs import Fit as Fit
from .runs import Run as Run
from .runs import load as load
from .sessions import fit as fit
from .trial import try_prior as try_prior
from .variational import Target as Target
from .variational import VariationalFit as VariationalFit
from .variational import fit_variational as fit_variational
from .variational import from_log_joint as from_log_joint
from .variational import from_numpyro as from_numpyro
from .variational import from_pymc as from_pymc
from .variational import from_unconstrained as from_unconstrained
from .variational.expectation_propagation import (
    fit_expectation_propagation as fit_expectation_propagation,
)
from .weights import LogWeights as LogWeights
from .weights import log_weights as log_weights

__version__: str
