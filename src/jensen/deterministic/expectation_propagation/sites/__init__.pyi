"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite as AbstractSite
from jensen.deterministic.expectation_propagation.sites._base import Tilted as Tilted
from jensen.deterministic.expectation_propagation.sites.censored import Censored as Censored
from jensen.deterministic.expectation_propagation.sites.clutter import Clutter as Clutter
from jensen.deterministic.expectation_propagation.sites.logistic import Logistic as Logistic
from jensen.deterministic.expectation_propagation.sites.normal import Normal as Normal
from jensen.deterministic.expectation_propagation.sites.poisson import Poisson as Poisson
from jensen.deterministic.expectation_propagation.sites.probit import Probit as Probit
from jensen.deterministic.expectation_propagation.sites.student_t import StudentT as StudentT

sites: Room
