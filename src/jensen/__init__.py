"""jensen trains deep latent-variable models and accounts for every nat of their evidence lower bound."""

__version__ = "0.1.0"
