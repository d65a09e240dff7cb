"""What the KL weight beta does, and what of "beta is a temperature" and "beta is a change of the prior's variance" holds.

One VAE is trained for each beta and accounted for at beta = 1; beside each the prior variance that would suit it best with encoder and decoder frozen, and a
VAE trained at beta = 1 under N(0, I / beta), which is the claim taken at its word. docs/temperature.md has the derivations, and the case solved exactly.
"""

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jensen._files import exclusive, npz_bytes, read_npz, write_atomically
from jensen.reproductions._base import AbstractReproduction, Column, Results
from jensen.reproductions._recipes import choose
from jensen.reproductions._temperature_table import COLUMNS, in_words, name_of, notes

if TYPE_CHECKING:
    from jensen.config import Config
    from jensen.datasets import Dataset
    from jensen.runs import Run

GROUP = "temperature"
BETAS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
Setting = tuple[
    str, float
]  # ("beta", 4.0): trained at it; ("variance", 0.25): trained at beta = 1 under N(0, I / 4)


class Temperature(AbstractReproduction):
    """Rate and distortion, I(n; z), marginal KL, ELBO, evidence and active units against beta, with the prior variances that are claimed to do the same.

    `betas` are the KL weights; 1 is always among them. Each training is that of the recipe of `data`, for `epochs` if given; its last epoch is accounted for,
    on the first `rows` test data, with `num_samples` importance samples for the evidence.

        Temperature(Path("runs/temperature"), 0, None, betas=(0.5, 1.0, 2.0)).run()
    """

    summary = "the KL weight beta as a temperature and as a prior's variance: the account along beta = 1/4 ... 16, and what of the claim holds"

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
            ("epochs", 1 if epochs is None else epochs, 1),
            ("num_samples", num_samples, 2),
            ("rows", rows, 2),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}.")
        for beta in betas:
            if not 0 < beta < math.inf:
                raise ValueError(
                    f"betas must be positive and finite, since each stands for a prior variance 1 / beta; got {beta}."
                )
        if not set(betas) - {1.0}:
            raise ValueError(
                "betas: at least one other than 1 is wanted, to compare with it; for instance --set betas=[0.5,1,2]."
            )
        self.out, self.seed, self.data_dir, self.data = out, seed, data_dir, data
        self.betas, self.epochs, self.num_samples, self.rows = (
            tuple(sorted({1.0, *betas})),
            epochs,
            num_samples,
            rows,
        )

    def planned(self) -> Results:
        from jensen.reproductions._runs import state_of

        rows = tuple(
            {"what": name_of(setting), "state": state_of(self._folder(setting))}
            for setting in self._settings()
        )
        return Results(
            "The KL weight as a temperature",
            (Column("what", lambda r: r["what"]), Column("state", lambda r: r["state"])),
            rows,
        )

    def run(self, *, progress: bool = True) -> Results:
        from jensen.reproductions._runs import finished_run
        from jensen.runs import RunError

        settings, rows, dataset = self._settings(), [], None
        with exclusive(self.out):
            for i, setting in enumerate(settings, start=1):
                run = finished_run(self._config(setting), self._folder(setting), progress=progress)
                if run.status == "diverged":
                    raise RunError(
                        f"the training of {run.path} diverged: {run.outcome.message} Remove it, or leave this beta out by --set betas=[...]."
                    )
                found = self._read(setting, run)
                if found is None:
                    dataset = dataset or run.load_data(None, data_dir=self.data_dir)
                    found = self._measured(setting, run, dataset, progress=progress)
                rows.append(found)
                if progress:
                    print(
                        f"[{i}/{len(settings)}] {name_of(setting)}: {in_words(found)}",
                        file=sys.stderr,
                    )
            return self._results(rows)

    def _settings(self) -> list[Setting]:
        return [("beta", beta) for beta in self.betas] + [
            ("variance", 1 / beta) for beta in self.betas if beta != 1
        ]

    def _config(self, setting: Setting) -> "Config":
        from jensen.config import Config, merge

        values = merge(
            choose(GROUP, (self.data,))[0].values(),
            {"seed": self.seed, "data": {"data_dir": self.data_dir}},
        )
        if self.epochs is not None:
            theirs = values["training"]
            shorter = {
                k: theirs[k] * min(self.epochs, theirs["epochs"]) // theirs["epochs"]
                for k in ("warm_up", "cool_down")
            }
            values = merge(values, {"training": {"epochs": self.epochs, **shorter}})
        kind, value = setting
        return Config.read(
            merge(
                values,
                {"training": {"beta": value}}
                if kind == "beta"
                else {"prior": {"scale": math.sqrt(value)}},
            )
        )

    def _folder(self, setting: Setting) -> Path:
        schedule = "" if self.epochs is None else f"-epochs{self.epochs}"
        return (
            self.out
            / f"{self.data}{schedule}{f'-seed{self.seed}' if self.seed else ''}"
            / f"{setting[0]}-{setting[1]:g}"
        )

    def _measured(
        self, setting: Setting, run: "Run", dataset: "Dataset", *, progress: bool
    ) -> dict[str, Any]:
        import numpy as np

        from jensen.reproductions._temperature import measure

        row, arrays = measure(
            run,
            dataset,
            seed=self.seed,
            num_samples=self.num_samples,
            rows=self.rows,
            progress=progress,
        )
        row = {"kind": setting[0], setting[0]: setting[1], **row}
        content = arrays | {
            "row": np.asarray(json.dumps(row)),
            "signature": np.asarray(self._signature(run)),
        }
        write_atomically(self._kept(setting), npz_bytes(content))
        return {**row, "per_datum": arrays}

    def _kept(self, setting: Setting) -> Path:
        folder = self._folder(setting)
        return folder.parent / "measured" / f"{folder.name}.npz"

    def _read(self, setting: Setting, run: "Run") -> dict[str, Any] | None:
        arrays = read_npz(self._kept(setting))
        if arrays is None or str(arrays["signature"]) != self._signature(run):
            return None
        return {
            **json.loads(str(arrays["row"])),
            "per_datum": {k: v for k, v in arrays.items() if k not in ("row", "signature")},
        }

    def _signature(self, run: "Run") -> str:
        """What a kept measurement depends on, as text."""
        newest = run.checkpoints.epochs()[-1]
        weights = (run.path / "checkpoints" / f"{newest}.sha256").read_text()
        return json.dumps(
            [weights, run.record["data"]["fingerprints"], self.seed, self.num_samples, self.rows],
            sort_keys=True,
        )

    def _results(self, rows: list[dict[str, Any]]) -> Results:
        from jensen.reports import draw_temperature
        from jensen.reproductions._temperature import exchange_rates, paired_with_one
        from jensen.reproductions._tempering import linear_example

        plain = [
            {k: v for k, v in row.items() if k != "per_datum"}
            | {"against_one": paired_with_one(row, rows)}
            for row in rows
        ]
        details: dict[str, Any] = {
            "unit": "nats per datum, at beta = 1",
            "data": self.data,
            "n": plain[0]["n"],
            "num_samples": self.num_samples,
            "seed": self.seed,
            "epochs": self._config(("beta", 1.0)).training.epochs,
            "exchange_rates": exchange_rates(plain),
            "linear_gaussian": linear_example(self.betas),
        }
        files = []
        for name, content in draw_temperature(plain).items():
            write_atomically(self.out / name, content)
            files.insert(0, str(self.out / name))
        files += [str(self.out / "results.md"), str(self.out / "results.json")]
        title = f"The KL weight beta on {self.data}: test data, nats per datum at beta = 1"
        results = Results(
            title, COLUMNS, tuple(plain), notes(plain, details), details, 0, tuple(files)
        )
        results.write(self.out)
        return results
