"""The run folder: what a training leaves behind, written atomically, held against checksums and
read without executing anything.

config.toml            the fully resolved configuration
run.json               format, versions, status, fingerprints of the data
metrics.jsonl          one record per epoch
checkpoints/           current and best states, with checksums
accounts/SPLIT.json    the account; SPLIT.npz holds its values per datum
report.html, figures/  the report
"""

from jensen.runs._errors import RunError as RunError
from jensen.runs._errors import UntrustedCodeError as UntrustedCodeError
from jensen.runs.folder import create as create
from jensen.runs.folder import load as load
from jensen.runs.folder import outcome_record as outcome_record
from jensen.runs.history import HistoryFile as HistoryFile
from jensen.runs.history import read_history as read_history
from jensen.runs.history import write_history as write_history
from jensen.runs.replacing import check_replaceable as check_replaceable
from jensen.runs.result import Fit as Fit
from jensen.runs.run import Run as Run
