"""`jensen account --try PRIOR`: priors on trial."""

from collections.abc import Sequence
from typing import Any

from jensen.cli.options import print_json


def run_trials(
    run: Any,
    priors: Sequence[str],
    settings: Sequence[str],
    split: str,
    *,
    json: bool,
    **where: Any,
) -> None:
    """Tries each prior, with the options that --set names, and prints what it wins."""
    from jensen.config import assignments
    from jensen.sessions import trial_of

    options = assignments(settings)
    unknown = sorted(options.keys() - {"prior", "training"})
    if unknown or not all(isinstance(section, dict) for section in options.values()):
        raise ValueError(
            f"--try takes --set prior.KEY=VALUE and training.KEY=VALUE of the re-fitting alone; got {', '.join(unknown or options)}."
        )
    found = [
        trial_of(
            run,
            {"name": name} | options.get("prior", {}),
            split,
            **where,
            **options.get("training", {}),
        )
        for name in priors
    ]
    if json:
        print_json({"trials": [trial.to_json() for trial in found]})
    else:
        print("\n\n".join(map(str, found)))
