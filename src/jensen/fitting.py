"""Names of earlier versions: `jensen.sessions` holds them now."""

from jensen.sessions import Fit as Fit
from jensen.sessions import fit as fit
from jensen.sessions import restored_state as restored_state
from jensen.sessions import resume_run as resume_run
