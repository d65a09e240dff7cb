"""The KL weight beta: a temperature of the likelihood, or a change of the prior's variance?

One VAE is trained for each beta and accounted for at beta = 1. For each, the prior variance that
fits its codes best is computed with encoder and decoder frozen. A second VAE is trained at
beta = 1 under N(0, I / beta), which tests the claim that beta changes the prior's variance.
docs/temperature.md derives the formulas, and solves one case exactly.
"""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jensen._files import exclusive, npz_bytes, read_npz, write_atomically
from jensen.reproductions._base import AbstractReproduction, Column, Results, without
from jensen.reproductions._recipes import choose
from jensen.reproductions.temperature._table import (
    COLUMNS,
    Setting,
    name_of,
    notes,
    progress_text,
)

if TYPE_CHECKING:
    from jensen.config import Config
    from jensen.datasets import Dataset
    from jensen.runs import Run

BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class Temperature(AbstractReproduction):
    """The account against beta, beside trainings under the prior variances 1 / beta.

    It shows reconstruction, average KL, I(n; z), marginal KL, ELBO, evidence and active units.

    Args:
        out: the folder in which it works.
        seed: of the trainings and the draws.
        data_dir: the folder of the data.
        data: the recipe of each training.
        betas: the KL weights; 1 is always added.
        epochs: of each training; warm-up and cool-down are shortened in proportion.
        num_samples: importance samples for the evidence.
        rows: the last epoch is accounted for on so many test data, the first ones.

    Raises:
        ValueError: a value out of range, or no beta other than 1.

        Temperature(Path("runs/temperature"), 0, None, betas=(0.5, 1.0, 2.0)).run()
    """

    summary = (
        "the KL weight beta as a temperature and as a prior's variance: the account along "
        "beta = 1/4 ... 16, and what of the claim holds"
    )

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        data: Literal["digits", "mnist"] = "digits",
        betas: tuple[float, ...] = BETAS,
        epochs: int | None = None,
        num_samples: int = 500,
        rows: int = 2000,
    ):
        for name, value, least in (
            ("epochs", epochs, 1),
            ("num_samples", num_samples, 2),
            ("rows", rows, 2),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}.")
        for beta in betas:
            if not 0 < beta < math.inf:
                raise ValueError(
                    "betas must be positive and finite, since each stands for a prior variance "
                    f"1 / beta; got {beta}."
                )
        if not set(betas) - {1.0}:
            raise ValueError(
                "betas: at least one other than 1 is needed, to compare with it; "
                "for instance --set betas=[0.5,1,2]."
            )
        self.out, self.seed, self.data_dir, self.data = out, seed, data_dir, data
        self.betas, self.epochs = tuple(sorted({1.0, *betas})), epochs
        self.num_samples, self.rows = num_samples, rows

    def planned(self) -> Results:
        from jensen.reproductions._runs import state_of

        rows = tuple(
            {"what": name_of(setting), "state": state_of(self._folder(setting))}
            for setting in self._settings()
        )
        columns = tuple(Column(name, lambda row, name=name: row[name]) for name in rows[0])
        return Results("The KL weight as a temperature", columns, rows)

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions._runs import finished_run
        from jensen.runs import RunError

        settings, rows, dataset = self._settings(), [], None
        with exclusive(self.out):
            for i, setting in enumerate(settings, start=1):
                run = finished_run(self._config(setting), self._folder(setting), progress=progress)
                if run.status == "diverged":
                    raise RunError(
                        f"the training of {run.path} diverged: {run.outcome.message} "
                        "Remove it, or leave this beta out by --set betas=[...]."
                    )
                row = self._read(setting, run)
                if row is None:
                    dataset = dataset or run.load_data(None, data_dir=self.data_dir)
                    row = self._measured(setting, run, dataset, progress=progress)
                rows.append(row)
                if progress:
                    text = f"[{i}/{len(settings)}] {name_of(setting)}: {progress_text(row)}"
                    print(text, file=sys.stderr)
            return self._results(rows)

    def _settings(self) -> list[Setting]:
        others = [beta for beta in self.betas if beta != 1]
        return [
            *(Setting("beta", beta) for beta in self.betas),
            *(Setting("variance", 1 / beta) for beta in others),
        ]

    def _config(self, setting: Setting) -> "Config":
        from jensen.config import Config, merge

        values = merge(
            choose("temperature", (self.data,))[0].values(),
            {"seed": self.seed, "data": {"data_dir": self.data_dir}},
        )
        if self.epochs is not None:
            training = values["training"]
            fraction = min(self.epochs, training["epochs"])
            shortened = {
                key: training[key] * fraction // training["epochs"]
                for key in ("warm_up", "cool_down")
            }
            values = merge(values, {"training": {"epochs": self.epochs, **shortened}})
        if setting.kind == "beta":
            return Config.read(merge(values, {"training": {"beta": setting.value}}))
        return Config.read(merge(values, {"prior": {"scale": math.sqrt(setting.value)}}))

    def _folder(self, setting: Setting) -> Path:
        schedule = "" if self.epochs is None else f"-epochs{self.epochs}"
        seed = f"-seed{self.seed}" if self.seed else ""
        return self.out / f"{self.data}{schedule}{seed}" / f"{setting.kind}-{setting.value:g}"

    def _measured(
        self, setting: Setting, run: "Run", dataset: "Dataset", *, progress: bool
    ) -> dict[str, Any]:
        """Measures a run, stores the measurement and returns it."""
        import numpy as np

        from jensen.reproductions.temperature._measurements import measure

        measurement = measure(
            run,
            dataset,
            seed=self.seed,
            num_samples=self.num_samples,
            rows=self.rows,
            progress=progress,
        )
        row = {"kind": setting.kind, setting.kind: setting.value, **measurement.values}
        arrays = measurement.per_datum | {
            "row": np.asarray(json.dumps(row)),
            "signature": np.asarray(self._signature(run)),
        }
        write_atomically(self._path(setting), npz_bytes(arrays))
        return {**row, "per_datum": measurement.per_datum}

    def _path(self, setting: Setting) -> Path:
        folder = self._folder(setting)
        return folder.parent / "measured" / f"{folder.name}.npz"

    def _read(self, setting: Setting, run: "Run") -> dict[str, Any] | None:
        arrays = read_npz(self._path(setting))
        if arrays is None or str(arrays["signature"]) != self._signature(run):
            return None
        per_datum = without(arrays, "row", "signature")
        return {**json.loads(str(arrays["row"])), "per_datum": per_datum}

    def _signature(self, run: "Run") -> str:
        """Returns what a stored measurement depends on, as text."""
        newest = run.checkpoints.epochs()[-1]
        weights = (run.path / "checkpoints" / f"{newest}.sha256").read_text()
        fingerprints = run.record["data"]["fingerprints"]
        return json.dumps(
            [weights, fingerprints, self.seed, self.num_samples, self.rows], sort_keys=True
        )

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        from jensen.reproductions.temperature._linear_gaussian import linear_example
        from jensen.reproductions.temperature._measurements import (
            differences_from_one,
            exchange_rates,
        )
        from jensen.reproductions.temperature.picture import draw_temperature

        plain_rows = [
            {**without(row, "per_datum"), "against_one": differences_from_one(row, rows)}
            for row in rows
        ]
        details: dict[str, Any] = {
            "unit": "nats per datum, at beta = 1",
            "data": self.data,
            "n": plain_rows[0]["n"],
            "num_samples": self.num_samples,
            "seed": self.seed,
            "epochs": self._config(Setting("beta", 1.0)).training.epochs,
            "exchange_rates": exchange_rates(plain_rows),
            "linear_gaussian": linear_example(self.betas),
        }
        files = []
        for name, content in draw_temperature(plain_rows).items():
            write_atomically(self.out / name, content)
            files.insert(0, str(self.out / name))
        files += [str(self.out / "results.md"), str(self.out / "results.json")]
        results = Results(
            f"The KL weight beta on {self.data}: test data, nats per datum at beta = 1",
            COLUMNS,
            tuple(plain_rows),
            notes(plain_rows, details),
            details,
            0,
            tuple(files),
        )
        results.write(self.out)
        return results
