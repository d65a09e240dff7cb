"""An earlier path of `jensen.deterministic.coordinate_ascent`, which stays importable."""

from jensen.deterministic.coordinate_ascent import *  # noqa: F403
