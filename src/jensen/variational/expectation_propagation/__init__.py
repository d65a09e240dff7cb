"""An earlier path of `jensen.deterministic.expectation_propagation`, which stays importable."""

from jensen.deterministic.expectation_propagation import AbstractSite as AbstractSite
from jensen.deterministic.expectation_propagation import EPResult as EPResult
from jensen.deterministic.expectation_propagation import (
    fit_expectation_propagation as fit_expectation_propagation,
)
from jensen.variational.expectation_propagation import sites as sites
