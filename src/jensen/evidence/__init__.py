"""Evidence: log p(x), with a standard error and a word on whether it can be trusted. Each file is one estimator."""

from jensen._rooms import Room
from jensen.evidence._base import AbstractEvidenceEstimator as AbstractEvidenceEstimator
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

evidence = Room(__name__, "evidence estimator")
__getattr__, __dir__ = evidence.attribute_access()
