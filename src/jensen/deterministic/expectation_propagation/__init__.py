"""Expectation propagation: fits a Gaussian q whose sites match the mean and variance of their
tilted distributions, site by site (Minka 2001; Opper & Winther 2000).

`fit_expectation_propagation` returns an `EPResult`; `sites` holds the likelihoods. Docs:
docs/expectation_propagation.md.
"""

from jensen.deterministic.expectation_propagation.fit import (
    fit_expectation_propagation as fit_expectation_propagation,
)
from jensen.deterministic.expectation_propagation.result import EPResult as EPResult
from jensen.deterministic.expectation_propagation.sites import AbstractSite as AbstractSite
