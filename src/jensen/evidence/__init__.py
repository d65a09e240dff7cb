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

evidence = Room(__name__, "evidence estimator")
_of_room, __dir__ = evidence.attribute_access()


def __getattr__(name: str):  # `bidirectional` brings the annealing programs with it; what does not anneal does not load them
    if name in ("bidirectional", "Bidirectional"):
        from jensen.evidence import _bidirectional

        return getattr(_bidirectional, name)
    return _of_room(name)
