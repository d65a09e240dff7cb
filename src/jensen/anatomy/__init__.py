"""Anatomy: where every nat of the evidence lower bound goes."""

from jensen.anatomy._lines import Line as Line
from jensen.anatomy._record import Account as Account
from jensen.anatomy.account import account as account
from jensen.anatomy.ceilings import Ceiling as Ceiling
from jensen.anatomy.comparison import Comparison as Comparison
from jensen.anatomy.comparison import compare as compare
from jensen.anatomy.gaps import Gaps as Gaps
from jensen.anatomy.gaps import inference_gaps as inference_gaps
from jensen.anatomy.generalisation import Generalisation as Generalisation
from jensen.anatomy.generalisation import generalisation as generalisation
from jensen.anatomy.marginals import Marginals as Marginals
from jensen.anatomy.standings import Standings as Standings
from jensen.anatomy.surgery import Surgery as Surgery
from jensen.anatomy.surgery import surgery as surgery
from jensen.anatomy.units import active_units as active_units
