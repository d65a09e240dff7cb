"""The lines of an account that are made of posterior draws alone."""

from collections.abc import Callable

import numpy as np

from jensen.anatomy.elbo_surgery import Surgery
from jensen.anatomy.line_table import entries, level_names
from jensen.anatomy.lines import Line, line_from_draws, with_shared_error


def surgery_lines(draws: Surgery) -> dict[str, Line]:
    """Make every line of the table that posterior draws give, in the order of the table.

    surgery_lines(surgery(model, x, key=key))["marginal_kl"]
    """
    lines = {}
    for entry in entries():
        if entry.values is not None:
            line = _line(draws, entry.values)
            # Lines of log q(z): the data that it is over, where these are a random subset, move all
            # of it together.
            lines[entry.name] = (
                with_shared_error(line, draws.subset_error) if entry.of_aggregate else line
            )
    return lines


def level_lines(draws: Surgery) -> dict[str, Line]:
    """Make the lines of the KL of each level, kl_z1 first.

    There are none for one level, or where I(n; z) and the marginal KL are those of all levels.

    level_lines(surgery(model, x, key=key)).keys()  # 'kl_z1', 'kl_z2'
    """
    levels = len(draws.level_log_priors)
    names = level_names(levels) if len(draws.indexed) < levels else ()
    return {
        name: _line(draws, lambda s, at=at: s.level_log_posteriors[at] - s.level_log_priors[at])
        for at, name in enumerate(names)
    }


def _line(draws: Surgery, values: Callable[[Surgery], np.ndarray]) -> Line:
    second = None if draws.second_draws is None else values(draws.second_draws)
    return line_from_draws(values(draws), second)
