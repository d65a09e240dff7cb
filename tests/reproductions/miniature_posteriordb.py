"""A posteriordb of one posterior in its form.

JSON zipped, draws by chain, elements numbered from 1 on.
"""

import json
import zipfile
from pathlib import Path

import numpy as np

# A regression so small that its posterior is explored by counting: blr.stan on three rows and two
# covariates.
DATA = {"N": 3, "D": 2, "X": [[1.0, 0.0], [0.5, 1.0], [-1.0, 0.7]], "y": [1.2, 0.4, -1.5]}


def write_zip(path: Path, content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.name.removesuffix(".zip"), json.dumps(content))


def draws_of(parameters: dict[str, np.ndarray]) -> list[dict[str, list[float]]]:
    """[chains, draws] or [chains, draws, K] by name, as the file has them."""
    chains = []
    for c in range(len(next(iter(parameters.values())))):
        chain = {}
        for name, values in parameters.items():
            if values.ndim == 2:
                chain[name] = values[c].tolist()
            else:
                chain |= {
                    f"{name}[{k + 1}]": values[c, :, k].tolist() for k in range(values.shape[2])
                }
        chains.append(chain)
    return chains


def make(folder: Path, parameters: dict[str, np.ndarray]) -> Path:
    """DATA as sblrc with these reference draws, in folder/posteriordb."""
    database = folder / "posteriordb" / "posterior_database"
    write_zip(database / "data" / "data" / "sblrc.json.zip", DATA)
    write_zip(
        database / "reference_posteriors" / "draws" / "draws" / "sblrc-blr.json.zip",
        draws_of(parameters),
    )
    return database
