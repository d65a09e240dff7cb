"""Reads the files of posteriordb as distributed: data and reference draws as zipped JSON."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jensen._rooms import nearest

REMEDY = (
    "Nothing is downloaded: get https://github.com/stan-dev/posteriordb and put it (its folder "
    "posterior_database is enough) into DIRECTORY/posteriordb, and name DIRECTORY by --data-dir "
    "or JENSEN_DATA."
)
DRAWS = Path("reference_posteriors", "draws", "draws")


def find_database(data_dir: str | None) -> Path:
    """Returns the folder posterior_database.

    Args:
        data_dir: the folder that holds it, or holds posteriordb; None: JENSEN_DATA.

    Raises:
        ValueError: there is none; the message says how to get it.

        find_database("~/data")
    """
    directory = data_dir if data_dir is not None else os.environ.get("JENSEN_DATA")
    if not directory:
        raise ValueError(
            "posteriordb is wanted, and there is neither --data-dir nor JENSEN_DATA to look for "
            f"it in. {REMEDY}"
        )
    start = Path(directory).expanduser()
    candidates = ("posteriordb/posterior_database", "posterior_database", "posteriordb")
    for candidate in candidates:
        if (start / candidate / "data" / "data").is_dir():
            return start / candidate
    raise ValueError(
        f"no posteriordb in {start}: none of {', '.join(candidates)} holds a folder data/data. "
        f"{REMEDY}"
    )


def read_data(name: str, data_dir: str | None) -> dict[str, Any]:
    """Returns the data called `name`: variables by name, as in the JSON file.

    Raises:
        ValueError: no such file, or one that is damaged.

        read_data("sblrc", "~/data")["N"]  # 100
    """
    data = _read_json(find_database(data_dir) / "data" / "data" / f"{name}.json.zip")
    if not isinstance(data, dict):
        raise ValueError(
            f"the data {name!r} are a {type(data).__name__}, not variables by name; "
            "fetch the file again."
        )
    return data


def read_reference(
    name: str, shapes: Mapping[str, tuple[int, ...]], data_dir: str | None
) -> dict[str, np.ndarray]:
    """Returns the reference draws called `name`, on the constrained space.

    Args:
        name: of the reference draws.
        shapes: of the parameters, by name.
        data_dir: as for `find_database`.

    Returns:
        For each parameter float64 [chains, draws, *shape].

    Raises:
        ValueError: no such file, a damaged one, chains of different lengths, or parameters other
            than those of `shapes`.

        draws = read_reference("sblrc-blr", {"beta": (5,), "sigma": ()}, "~/data")
        draws["beta"].shape  # (10, 1000, 5)
    """
    path = find_database(data_dir) / DRAWS / f"{name}.json.zip"
    chains = _read_json(path)
    labels = [label for parameter, shape in shapes.items() for label in labels_of(parameter, shape)]
    in_file = sorted(chains[0]) if chains else []
    if missing := [label for label in labels if label not in in_file]:
        raise ValueError(
            f"{path} has no draws of {', '.join(missing)}{nearest(missing[0], in_file)}; "
            f"it has {', '.join(in_file)}."
        )
    if extra := [label for label in in_file if label not in labels]:
        raise ValueError(
            f"{path} has draws of {', '.join(extra)}, which the model does not have; "
            f"it has {', '.join(labels)}."
        )
    lengths = {len(chain[label]) for chain in chains for label in labels}
    if len(lengths) != 1:
        raise ValueError(
            f"{path}: the chains have {', '.join(map(str, sorted(lengths)))} draws; "
            "wanted is one length. Fetch the file again."
        )
    values = {label: np.asarray([chain[label] for chain in chains], float) for label in labels}
    chains_and_draws = next(iter(values.values())).shape
    return {
        parameter: np.stack([values[label] for label in labels_of(parameter, shape)], -1).reshape(
            *chains_and_draws, *shape
        )
        for parameter, shape in shapes.items()
    }


def labels_of(parameter: str, shape: tuple[int, ...]) -> list[str]:
    """Returns posteriordb's names of a parameter's elements.

    Indices count from 1, and the last one runs fastest.

    labels_of("beta", (2,))  # ['beta[1]', 'beta[2]']
    """
    return [
        parameter + (f"[{','.join(str(i + 1) for i in index)}]" if index else "")
        for index in np.ndindex(*shape)
    ]


def _read_json(path: Path) -> Any:
    if not path.is_file():
        names = sorted(p.name.removesuffix(".json.zip") for p in path.parent.glob("*.json.zip"))
        hint = nearest(path.name.removesuffix(".json.zip"), names)
        raise ValueError(
            f"no file {path}{hint}; there is {', '.join(names) or 'nothing'}. {REMEDY}"
        )
    member = path.name.removesuffix(".zip")
    try:
        with zipfile.ZipFile(path) as archive:
            return json.loads(archive.read(member))
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} is no complete zip file with {member} in it ({error}); fetch it again."
        ) from error
