"""Expectation propagation: a Gaussian whose sites match the moments of their tilted distributions,
one by one.
"""

from jensen.variational.expectation_propagation.fit import (
    fit_expectation_propagation as fit_expectation_propagation,
)
from jensen.variational.expectation_propagation.result import EPResult as EPResult
from jensen.variational.expectation_propagation.sites import AbstractSite as AbstractSite
