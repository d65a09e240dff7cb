"""Training: the only loop of the library, and the only place where anything is minimised."""

from jensen.training.checkpoints import CheckpointError as CheckpointError
from jensen.training.checkpoints import Checkpoints as Checkpoints
from jensen.training.loop import Outcome as Outcome
from jensen.training.loop import Trained as Trained
from jensen.training.loop import train as train
from jensen.training.options import TrainingOptions as TrainingOptions
