"""Names of earlier versions: `jensen.sessions` holds them now."""

from jensen.sessions import STREAMS as STREAMS
from jensen.sessions import account_of as account_of
from jensen.sessions import account_of_both as account_of_both
from jensen.sessions import finished_fit as finished_fit
from jensen.sessions import own_data as own_data
from jensen.sessions import report_of as report_of
from jensen.sessions import rows_to_evaluate as rows_to_evaluate
from jensen.sessions import split_data as split_data
from jensen.sessions import start_run as start_run
from jensen.sessions import stream_key as stream_key
from jensen.sessions import trial_of as trial_of
