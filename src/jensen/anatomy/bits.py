"""Bits per dimension, -log2 p(x) / D: the customary unit of discrete data such as grey images.

Lower is better, in this unit alone.
"""

import math
from typing import Any

from jensen.likelihoods import likelihoods
from jensen.model import Model

OPPOSITE = {"lower": "upper", "upper": "lower"}
UNIT = "bits per dimension, lower is better"


def dimensions_in_bits(model: Model) -> int | None:
    """Find D, the numbers in one datum, if its likelihood is reported in bits per dimension.

    None where that is not the custom.

    dimensions_in_bits(jensen.vae((28, 28), likelihood="discretized_logistic", key=key))  # 784
    """
    if model.recipe is None:
        head = getattr(model.decoder, "likelihood", None)
        return math.prod(head.event_shape) if head is not None and head.bits_per_dimension else None
    cls = likelihoods.find(model.recipe.values["likelihood"]["name"])
    return math.prod(model.recipe.values["event_shape"]) if cls.bits_per_dimension else None


def in_bits(nats: float, dimensions: int) -> float:
    """-log2 p(x) / D from log p(x) in nats per datum; of a standard error, take the absolute value.

    in_bits(-math.log(256), 1)  # 8.0
    """
    return -nats / (dimensions * math.log(2))


def bits_record(lines: dict[str, dict[str, Any]], dimensions: int) -> dict[str, Any]:
    """Convert lines {name: {'value': nats, 'standard_error': nats, ...}} to bits per dimension.

    The sign turns with the unit: a lower bound in nats ('bound': 'lower') is an upper one in bits.

    bits_record({"elbo": {"value": -100.0, "standard_error": 0.1}}, 784)
    """
    return {
        "dimensions": dimensions,
        "unit": UNIT,
        **{name: _in_bits(line, dimensions) for name, line in lines.items()},
    }


def _in_bits(line: dict[str, Any], dimensions: int) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in line.items():
        if name == "bound":
            out[name] = OPPOSITE.get(value, value)
        elif value is None:
            out[name] = None
        else:
            bits = in_bits(value, dimensions)
            out[name] = bits if name == "value" else abs(bits)
    return out
