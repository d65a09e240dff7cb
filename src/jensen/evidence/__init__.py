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
from jensen.evidence.quadrature import kl_to_posterior as kl_to_posterior

evidence = Room(__name__, "evidence estimator")
__getattr__, __dir__ = evidence.attribute_access()
