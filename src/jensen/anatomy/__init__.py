"""Anatomy: where every nat of the evidence lower bound goes."""

from jensen.anatomy.accounting import account as account
from jensen.anatomy.accounts import Account as Account
from jensen.anatomy.comparison import Comparison as Comparison
from jensen.anatomy.comparison import compare as compare
from jensen.anatomy.elbo_surgery import Surgery as Surgery
from jensen.anatomy.elbo_surgery import surgery as surgery
from jensen.anatomy.gaps import Gaps as Gaps
from jensen.anatomy.gaps import inference_gaps as inference_gaps
from jensen.anatomy.generalisation_gap import Generalisation as Generalisation
from jensen.anatomy.generalisation_gap import generalisation as generalisation
from jensen.anatomy.lines import Line as Line
from jensen.anatomy.marginal_split import Marginals as Marginals
from jensen.anatomy.ranking import RankedComparison as RankedComparison
from jensen.anatomy.remedy_ceilings import Ceiling as Ceiling
from jensen.anatomy.units import active_units as active_units

Standings = RankedComparison  # its old name, which goes next version
