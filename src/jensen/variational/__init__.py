"""Variational inference on densities that are written down. What it makes is log-weights: `evidence` reads them as it reads those of any model."""
