"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.evidence._base import AbstractEvidenceEstimator as AbstractEvidenceEstimator
from jensen.evidence._bidirectional import Bidirectional as Bidirectional
from jensen.evidence._bidirectional import bidirectional as bidirectional
from jensen.evidence._bounds import BoundValue as BoundValue
from jensen.evidence._bounds import evaluate_bounds as evaluate_bounds
from jensen.evidence._estimate import estimate_evidence as estimate_evidence
from jensen.evidence._record import Evidence as Evidence
from jensen.evidence._record import evidence_of_log_weights as evidence_of_log_weights
from jensen.evidence._record import pareto_k as pareto_k
from jensen.evidence._record import pareto_k_threshold as pareto_k_threshold
from jensen.evidence._refinement import FAMILIES as FAMILIES
from jensen.evidence._refinement import Refinement as Refinement
from jensen.evidence._refinement import family_of as family_of
from jensen.evidence._refinement import refine as refine
from jensen.evidence._refinement import refinement as refinement
from jensen.evidence._sandwich import Rung as Rung
from jensen.evidence._sandwich import Sandwich as Sandwich
from jensen.evidence._sandwich import sandwich as sandwich
from jensen.evidence.annealed import Annealed as Annealed
from jensen.evidence.auto import Auto as Auto
from jensen.evidence.importance import Importance as Importance
from jensen.evidence.monte_carlo import MonteCarlo as MonteCarlo
from jensen.evidence.quadrature import Quadrature as Quadrature
from jensen.evidence.quadrature import kl_to_posterior as kl_to_posterior

evidence: Room
