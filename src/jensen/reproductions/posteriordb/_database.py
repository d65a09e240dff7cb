"""The files of posteriordb as they are distributed: data and reference draws as JSON, zipped. Nothing is downloaded."""

import json
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jensen._rooms import nearest

REMEDY = (
    "Nothing is downloaded: get https://github.com/stan-dev/posteriordb and put it (its folder posterior_database is enough) into DIRECTORY/posteriordb, "
    "and name DIRECTORY by --data-dir or JENSEN_DATA."
)
DRAWS = Path("reference_posteriors", "draws", "draws")


def database(data_dir: str | None) -> Path:
    """The folder posterior_database, in the data directory or its folder posteriordb; the directory is JENSEN_DATA where it is None.

    Raises:
        ValueError: there is none, with what to do.

        database("~/data")
    """
    named = data_dir if data_dir is not None else os.environ.get("JENSEN_DATA")
    if not named:
        raise ValueError(
            f"posteriordb is wanted, and there is neither --data-dir nor JENSEN_DATA to look for it in. {REMEDY}"
        )
    start = Path(named).expanduser()
    places = [
        start / "posteriordb" / "posterior_database",
        start / "posterior_database",
        start / "posteriordb",
    ]
    found = next((place for place in places if (place / "data" / "data").is_dir()), None)
    if found is None:
        raise ValueError(
            f"no posteriordb in {start}: none of {', '.join(str(p.relative_to(start)) for p in places)} holds a folder data/data. {REMEDY}"
        )
    return found


def read_data(name: str, data_dir: str | None) -> dict[str, Any]:
    """The data called `name`: variables by name, as JSON has them.

    Raises:
        ValueError: no such file, or one that is damaged.

        read_data("sblrc", "~/data")["N"]  # 100
    """
    found = _read_json(database(data_dir) / "data" / "data" / f"{name}.json.zip")
    if not isinstance(found, dict):
        raise ValueError(
            f"the data {name!r} are a {type(found).__name__}, not variables by name; fetch the file again."
        )
    return found


def read_reference(
    name: str, shapes: Mapping[str, tuple[int, ...]], data_dir: str | None
) -> dict[str, np.ndarray]:
    """The reference draws called `name`, on the constrained space, parameters matched by name.

    Args:
        name: of the reference draws.
        shapes: of the parameters, by name.
        data_dir: as for `database`.

    Returns:
        For each parameter float64 [chains, draws, *shape].

    Raises:
        ValueError: no such file, a damaged one, chains of different lengths, or parameters other than those of `shapes`.

        read_reference("sblrc-blr", {"beta": (5,), "sigma": ()}, "~/data")["beta"].shape  # (10, 1000, 5)
    """
    path = database(data_dir) / DRAWS / f"{name}.json.zip"
    chains = _read_json(path)
    labels = [label for parameter, shape in shapes.items() for label in labels_of(parameter, shape)]
    found = set(chains[0]) if chains else set()
    if missing := [label for label in labels if label not in found]:
        raise ValueError(
            f"{path} has no draws of {', '.join(missing)}{nearest(missing[0], sorted(found))}; it has {', '.join(sorted(found))}."
        )
    if extra := sorted(found - set(labels)):
        raise ValueError(
            f"{path} has draws of {', '.join(extra)}, which the model does not have; it has {', '.join(labels)}."
        )
    lengths = {len(chain[label]) for chain in chains for label in labels}
    if len(lengths) != 1:
        raise ValueError(
            f"{path}: the chains have {', '.join(map(str, sorted(lengths)))} draws; wanted is one length. Fetch the file again."
        )
    values = {label: np.asarray([chain[label] for chain in chains], float) for label in labels}
    return {
        p: np.stack([values[k] for k in labels_of(p, shape)], -1).reshape(
            *next(iter(values.values())).shape, *shape
        )
        for p, shape in shapes.items()
    }


def labels_of(parameter: str, shape: tuple[int, ...]) -> list[str]:
    """A parameter's elements as posteriordb calls them, from 1 on, the last index the fastest.

    labels_of("beta", (2,))  # ['beta[1]', 'beta[2]']
    """
    return [
        parameter + (f"[{','.join(str(i + 1) for i in index)}]" if index else "")
        for index in np.ndindex(*shape)
    ]


def _read_json(path: Path) -> Any:
    if not path.is_file():
        known = [re.sub(r"\.json\.zip$", "", p.name) for p in path.parent.glob("*.json.zip")]
        stem = re.sub(r"\.json\.zip$", "", path.name)
        raise ValueError(
            f"no file {path}{nearest(stem, known)}; there is {', '.join(sorted(known)) or 'nothing'}. {REMEDY}"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(path.name.removesuffix(".zip")))
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} is no complete zip file with {path.name.removesuffix('.zip')} in it ({error}); fetch it again."
        ) from error
