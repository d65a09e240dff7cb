"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.gradients._base import AbstractGradientEstimator as AbstractGradientEstimator
from jensen.gradients._base import Estimate as Estimate
from jensen.gradients._base import GradientChoice as GradientChoice
from jensen.gradients._base import valid_estimators as valid_estimators
from jensen.gradients._noise import Noise as Noise
from jensen.gradients._noise import gradient_noise as gradient_noise
from jensen.gradients.closed_form_kl import ClosedFormKL as ClosedFormKL
from jensen.gradients.doubly_reparameterised import DoublyReparameterised as DoublyReparameterised
from jensen.gradients.free_bits import FreeBits as FreeBits
from jensen.gradients.pathwise import Pathwise as Pathwise
from jensen.gradients.score_function import ScoreFunction as ScoreFunction
from jensen.gradients.sticking_the_landing import StickingTheLanding as StickingTheLanding
from jensen.gradients.vimco import VIMCO as VIMCO
from jensen.gradients.wake import Wake as Wake

gradients: Room
