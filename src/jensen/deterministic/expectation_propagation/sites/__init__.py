"""Sites of expectation propagation: the factors of a likelihood, each a function of one linear form
of w. Each file is one kind.
"""

from jensen._rooms import Room
from jensen.deterministic.expectation_propagation.sites._base import AbstractSite as AbstractSite
from jensen.deterministic.expectation_propagation.sites._base import Tilted as Tilted

sites = Room(__name__, "site")
__getattr__, __dir__ = sites.attribute_access()
