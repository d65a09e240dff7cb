"""The one way from a model and data to a run, its account and its report.

Python (`jensen.fit`), the command line and the reproductions take the same steps in the same order:

    setup.py        what is trained: from Python objects, from a configuration, or from a run
    fitting.py      check it, make the folder, train, record how it ended; resume
    evaluation.py   rows, account, trial of a prior, report

`jensen.fitting` and `jensen.evaluation` are the names of earlier versions and lead here.
"""

from jensen.runs.result import Fit as Fit
from jensen.sessions.evaluation import account_of as account_of
from jensen.sessions.evaluation import account_of_both as account_of_both
from jensen.sessions.evaluation import own_data as own_data
from jensen.sessions.evaluation import report_of as report_of
from jensen.sessions.evaluation import rows_to_evaluate as rows_to_evaluate
from jensen.sessions.evaluation import split_data as split_data
from jensen.sessions.evaluation import trial_of as trial_of
from jensen.sessions.fitting import finished_fit as finished_fit
from jensen.sessions.fitting import fit as fit
from jensen.sessions.fitting import record_completion as record_completion
from jensen.sessions.fitting import resume_run as resume_run
from jensen.sessions.fitting import start_run as start_run
from jensen.sessions.setup import STREAMS as STREAMS
from jensen.sessions.setup import Setup as Setup
from jensen.sessions.setup import restored_state as restored_state
from jensen.sessions.setup import setup_from_config as setup_from_config
from jensen.sessions.setup import setup_from_objects as setup_from_objects
from jensen.sessions.setup import setup_from_run as setup_from_run
from jensen.sessions.setup import stream_key as stream_key
