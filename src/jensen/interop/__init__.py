"""Models that were built elsewhere, as a `jensen.Model`: from NumPy callables (`foreign`), PyTorch
modules (`jensen.interop.torch`), a Pythae model (`jensen.interop.pythae`) or a NumPyro model with
an amortised guide (`jensen.interop.numpyro`). Every function that takes a model takes these.
"""

from jensen.interop._checks import check_foreign as check_foreign
from jensen.interop._foreign import foreign as foreign
from jensen.interop._guard import guarded as guarded
from jensen.interop._guard import left_out as left_out
from jensen.interop._guard import require_gradient as require_gradient
from jensen.interop._host import ForeignError as ForeignError
from jensen.interop._priors import PseudoInputs as PseudoInputs
from jensen.interop._suspicions import foreign_remarks as foreign_remarks
