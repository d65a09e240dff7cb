"""Families of q. Each starts from a normal, computes its draws as functions of fixed noise, and its
entropy in closed form where there is one. Each file is one family; `own` and `from_flowjax` make
families of other distributions.
"""

from jensen._rooms import Room
from jensen.variational.families._base import AbstractFamily as AbstractFamily
from jensen.variational.families._base import Spread as Spread
from jensen.variational.families._base import Start as Start
from jensen.variational.families._own import from_flowjax as from_flowjax
from jensen.variational.families._own import own as own

families = Room(__name__, "family")
__getattr__, __dir__ = families.attribute_access()
