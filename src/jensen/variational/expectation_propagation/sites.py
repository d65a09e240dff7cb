"""An earlier path of `jensen.deterministic.expectation_propagation.sites`; stays importable."""

from typing import TYPE_CHECKING

from jensen.deterministic.expectation_propagation.sites import AbstractSite as AbstractSite
from jensen.deterministic.expectation_propagation.sites import Tilted as Tilted
from jensen.deterministic.expectation_propagation.sites import sites as sites

if TYPE_CHECKING:
    from jensen.deterministic.expectation_propagation.sites import *  # noqa: F403
else:
    __getattr__, __dir__ = sites.attribute_access()
