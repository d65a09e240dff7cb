"""A convolution written out as the sum that it is, float64: the oracle of every convolutional part."""

import numpy as np


def convolution(image, weight, stride=1):
    """sum over taps (a, b) and channels of image[r s + a - p, c s + b - p] weight[a, b], zeros outside, p = (k - 1) // 2."""
    image, weight = np.asarray(image, np.float64), np.asarray(weight, np.float64)
    (height, width, _), (rows, columns, _, out) = image.shape, weight.shape
    found = np.zeros((-(-height // stride), -(-width // stride), out))
    for r, c, a, b in np.ndindex(*found.shape[:2], rows, columns):
        row, column = r * stride + a - (rows - 1) // 2, c * stride + b - (columns - 1) // 2
        if 0 <= row < height and 0 <= column < width:
            found[r, c] += image[row, column] @ weight[a, b]
    return found


def gated(layers, image):
    """conv * sigmoid(conv) layer by layer."""
    for layer in layers:
        value, gate = np.split(
            convolution(image, layer.weight, layer.stride) + np.asarray(layer.bias), 2, axis=-1
        )
        image = value / (1 + np.exp(-gate))
    return image


def convolutions_in(program):
    """The convolutions of a traced program, those of programs within it included."""
    found = []
    for equation in program.jaxpr.eqns:
        found += [equation] if equation.primitive.name == "conv_general_dilated" else []
        for inner in equation.params.values():
            found += (
                convolutions_in(inner)
                if hasattr(inner, "jaxpr") and hasattr(inner.jaxpr, "eqns")
                else []
            )
    return found
