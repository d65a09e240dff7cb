"""A prior on trial: re-fitted on a frozen encoder and decoder, and measured on the draws of the
account."""

from jensen.trial.attempt import check_trial as check_trial
from jensen.trial.attempt import try_prior as try_prior
from jensen.trial.result import Gain as Gain
from jensen.trial.result import Measured as Measured
from jensen.trial.result import Trial as Trial
from jensen.trial.result import label as label
from jensen.trial.result import store_trial as store_trial
from jensen.trial.result import stored_trials as stored_trials
