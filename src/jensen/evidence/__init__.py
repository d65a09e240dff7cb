"""Evidence: log p(x), with a standard error and a word on whether it can be trusted. Each file is one estimator."""

import importlib

from jensen._rooms import Room
from jensen.evidence._base import AbstractEvidenceEstimator as AbstractEvidenceEstimator
from jensen.evidence._bounds import BoundValue as BoundValue
from jensen.evidence._bounds import evaluate_bounds as evaluate_bounds
from jensen.evidence._estimate import estimate_evidence as estimate_evidence
from jensen.evidence._record import Evidence as Evidence
from jensen.evidence._record import OtherStart as OtherStart
from jensen.evidence._record import evidence_of_log_weights as evidence_of_log_weights
from jensen.evidence._record import pareto_k as pareto_k
from jensen.evidence._record import pareto_k_threshold as pareto_k_threshold
from jensen.evidence._refinement import FAMILIES as FAMILIES
from jensen.evidence._refinement import Refinement as Refinement
from jensen.evidence._refinement import family_of as family_of
from jensen.evidence._refinement import refine as refine
from jensen.evidence._refinement import refinement as refinement
from jensen.evidence.quadrature import kl_to_posterior as kl_to_posterior

evidence = Room(__name__, "evidence estimator")
_of_room, __dir__ = evidence.attribute_access()


LATER = {
    "bidirectional": "_bidirectional",
    "Bidirectional": "_bidirectional",
    "sandwich": "_sandwich",
    "Sandwich": "_sandwich",
    "Rung": "_sandwich",
}


def __getattr__(
    name: str,
):  # what brings the annealing programs with it is loaded when it is asked for
    return (
        getattr(importlib.import_module(f"jensen.evidence.{LATER[name]}"), name)
        if name in LATER
        else _of_room(name)
    )
