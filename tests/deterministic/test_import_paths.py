"""Expectation propagation and coordinate ascent stay importable from their earlier paths."""

import jensen
from jensen.deterministic import coordinate_ascent, expectation_propagation
from jensen.variational.coordinate_ascent import fit_gaussian_mixture
from jensen.variational.expectation_propagation import EPResult, fit_expectation_propagation
from jensen.variational.expectation_propagation.sites import Probit, sites


def test_the_earlier_paths_lead_to_the_same_objects():
    assert fit_expectation_propagation is expectation_propagation.fit_expectation_propagation
    assert EPResult is jensen.deterministic.EPResult
    assert Probit is expectation_propagation.sites.Probit
    assert sites is expectation_propagation.sites.sites
    assert fit_gaussian_mixture is coordinate_ascent.fit_gaussian_mixture
    assert jensen.variational.coordinate_ascent.FactorAnalysis is coordinate_ascent.FactorAnalysis


def test_a_path_through_the_package_leads_there_as_well():
    assert "Probit" in dir(jensen.variational.expectation_propagation.sites)
    assert jensen.variational.expectation_propagation.sites.Poisson is (
        jensen.deterministic.expectation_propagation.sites.Poisson
    )
