"""Priors in the order in which they look at the data, on one frozen encoder: where the regularisation of the ELBO goes, and what held-out data say of it.

The ladder is that of Tomczak & Welling (2018, section 3): N(0, I) looks at nothing; a VampPrior of K pseudo-inputs is a weakened aggregated posterior; at K = N
the prior is the aggregated posterior q(z) itself: the best there is for the training ELBO, and no regulariser at all. Encoder and decoder are frozen, so that
reconstruction and I(n; z) stay where they are, and marginal KL and ELBO change by the prior alone.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jensen._files import exclusive, npz_bytes, read_npz, write_atomically
from jensen.reproductions._base import AbstractReproduction, Column, Results
from jensen.reproductions._ladder_table import COLUMNS, SPLITS, in_words, name_of, notes
from jensen.reproductions._recipes import choose

if TYPE_CHECKING:
    from jensen._types import Distribution
    from jensen.datasets import Dataset
    from jensen.model import Model
    from jensen.reproductions._ladder import SplitDraws
    from jensen.runs import Run

GROUP = "prior_ladder"
COMPONENTS = (1, 10, 100, 500, 1000, 5000, 20_000)
STEPS, BATCH, LEARNING_RATE = 1500, 100, 3e-2  # of re-fitting, unless `epochs` says otherwise
MOST_LEARNED = 1000  # pseudo-inputs beyond which each step of re-fitting takes seconds on CPUs


class PriorLadder(AbstractReproduction):
    """Marginal KL, I(n; z), ELBO and evidence, train and test, from N(0, I) over K pseudo-inputs to all N training data.

    `run` is a trained run; without it, one is trained first on `data`, for `base_epochs` if given. `components` are the rungs K (by default 1, 10, 100, 500,
    1000 ... below N); the far end K = N is always there. Learned pseudo-inputs start at training rows and are re-fitted for `epochs` (by default about 1,500
    steps), by default up to K = 1000. `num_samples` importance samples give the evidence of the first `rows` data of each split.

        PriorLadder(Path("runs/prior-ladder"), 0, None, data="digits").run()
    """

    summary = "priors ordered by how far they look at the data, from N(0, I) to the aggregated posterior, on one frozen encoder"

    def __init__(
        self,
        out: Path,
        seed: int,
        data_dir: str | None,
        *,
        run: str | None = None,
        data: Literal["digits", "mnist"] = "digits",
        components: tuple[int, ...] = (),
        epochs: int | None = None,
        num_samples: int = 500,
        rows: int = 1500,
        base_epochs: int | None = None,
        trust_code: bool = False,
    ):
        least = {
            "epochs": (1 if epochs is None else epochs, 1),
            "num_samples": (num_samples, 2),
            "rows": (rows, 2),
            "base_epochs": (1 if base_epochs is None else base_epochs, 1),
        }
        for name, (value, bound) in {
            **least,
            **{f"components[{i}]": (k, 1) for i, k in enumerate(components)},
        }.items():
            if value < bound:
                raise ValueError(f"{name} must be at least {bound}; got {value}.")
        self.out, self.seed, self.data_dir = out, seed, data_dir
        self.given, self.data, self.trust_code = run, data, trust_code
        self.components, self.epochs, self.num_samples, self.rows, self.base_epochs = (
            components,
            epochs,
            num_samples,
            rows,
            base_epochs,
        )

    def planned(self) -> Results:
        from jensen.reproductions._runs import state_of

        rungs = ", ".join(map(str, self.components or (*COMPONENTS[:5], "...")))
        path = Path(self.given) if self.given else self._base_folder()
        rows = (
            {"what": f"the run {path}", "state": state_of(path)},
            {"what": f"K = {rungs} and N", "state": f"{len(self._kept())} priors measured"},
        )
        return Results(
            "The ladder of priors",
            (Column("what", lambda r: r["what"]), Column("state", lambda r: r["state"])),
            rows,
        )

    def run(self, *, progress: bool = True) -> Results:
        import jax.random as jr

        from jensen.evaluation import split_data, stream_key
        from jensen.reproductions._ladder import split_draws

        with exclusive(self.out):
            base = self._base(progress=progress)
            dataset, model = base.load_data(None, data_dir=self.data_dir), base.model
            key_rows, key_refit = jr.split(stream_key(self.seed, "training"))
            epochs = self.epochs or max(5, -(-STEPS * BATCH // len(dataset.train)))
            signature = self._signature(base, epochs)
            plan = self._plan(len(dataset.train), own=_own_prior(model))
            draws: dict[str, SplitDraws] = {}
            if any(self._read(kind, k, signature) is None for kind, k in plan):
                for split in SPLITS:
                    key, rows = stream_key(self.seed, "account"), split_data(dataset, split)
                    draws[split] = split_draws(
                        model,
                        rows,
                        key,
                        num_samples=self.num_samples,
                        rows=self.rows,
                        what=split,
                        progress=progress,
                    )
            rungs = []
            for i, (kind, k) in enumerate(plan, start=1):
                found = self._read(kind, k, signature)
                if found is None:
                    prior = self._prior(
                        kind, k, model, dataset, draws["train"], (key_rows, key_refit), epochs
                    )
                    found = self._measured(kind, k, prior, draws, signature)
                rungs.append(found)
                if progress:
                    print(f"[{i}/{len(plan)}] {name_of(found)}: {in_words(found)}", file=sys.stderr)
            return self._results(rungs, base, dataset, epochs)

    def _base(self, *, progress: bool) -> "Run":
        from jensen.config import Config, merge
        from jensen.reproductions._runs import finished_run
        from jensen.runs import RunError, load

        if self.given:
            return load(self.given, trust_code=self.trust_code)
        values = merge(
            choose(GROUP, (self.data,))[0].values(),
            {"seed": self.seed, "data": {"data_dir": self.data_dir}},
        )
        if self.base_epochs is not None:
            warm_up = min(values["training"].get("warm_up", 20), self.base_epochs // 5)
            values = merge(values, {"training": {"epochs": self.base_epochs, "warm_up": warm_up}})
        run = finished_run(Config.read(values), self._base_folder(), progress=progress)
        if run.status == "diverged":
            raise RunError(
                f"the training of {run.path} diverged: {run.outcome.message} Give a trained run by --run."
            )
        return run

    def _base_folder(self) -> Path:
        schedule = "" if self.base_epochs is None else f"-epochs{self.base_epochs}"
        return self.out / f"{self.data}{schedule}{f'-seed{self.seed}' if self.seed else ''}"

    def _plan(self, n: int, *, own: bool) -> list[tuple[str, int | None]]:
        """(kind, K) of every prior to be measured, from looking at nothing to looking at everything."""
        too_many = [k for k in self.components if k > n]
        if too_many:
            raise ValueError(
                f"components: {too_many[0]} pseudo-inputs cannot be drawn from {n} training data; the far end K = {n} is always there."
            )
        rungs = sorted({k for k in self.components or COMPONENTS if k < n})
        plan: list[tuple[str, int | None]] = [
            ("standard_normal", None),
            *([("own", None)] if own else []),
        ]
        plan += [("learned", k) for k in rungs if self.components or k <= MOST_LEARNED]
        return [*plan, *(("fixed", k) for k in rungs), ("aggregated", n)]

    def _prior(
        self,
        kind: str,
        k: int | None,
        model: "Model",
        dataset: "Dataset",
        train: "SplitDraws",
        keys: tuple,
        epochs: int,
    ) -> "Distribution":
        import jax.numpy as jnp
        import jax.random as jr
        import numpy as np

        from jensen.distributions import diagonal_normal, mixture_of, top_of
        from jensen.refitting import refit_prior
        from jensen.runs import RunError

        n, dimension = train.cut.posterior_means.shape
        if kind == "own":
            return top_of(model.prior(model.encoder))
        if k is None:
            return diagonal_normal(jnp.zeros(dimension), jnp.ones(dimension))
        if kind == "learned":
            choice = {"name": "vamp", "num_components": k, "initialise": "data"}
            options = {"epochs": epochs, "learning_rate": LEARNING_RATE, "patience": 0}
            # The rows that the ladder measures on: grey levels as they are drawn there, not afresh.
            frozen = replace(dataset, train=dataset.split("train"), levels=None)
            refitted = refit_prior(model, choice, frozen, progress=False, key=keys[1], **options)
            if refitted.outcome.status != "completed":
                raise RunError(
                    f"re-fitting {k} pseudo-inputs ended as {refitted.outcome.status}: {refitted.outcome.message}"
                )
            fitted = refitted.model
            return top_of(fitted.prior(fitted.encoder))
        # One order for all K: the rows of a rung are among those of the next.
        rows = np.arange(k) if kind == "aggregated" else np.asarray(jr.permutation(keys[0], n))[:k]
        return mixture_of(train.cut.posteriors[rows])

    def _measured(
        self,
        kind: str,
        k: int | None,
        prior: "Distribution",
        draws: "dict[str, SplitDraws]",
        signature: str,
    ) -> dict[str, Any]:
        import numpy as np

        from jensen.reproductions._ladder import LINES, measure

        rung: dict[str, Any] = {
            "kind": kind,
            "components": k,
            **{split: measure(prior, draws[split]) for split in SPLITS},
        }
        arrays = {
            f"{split}.{line}": rung[split][line]["per_datum"] for split in SPLITS for line in LINES
        }
        plain = {"kind": kind, "components": k} | {s: _without_arrays(rung[s]) for s in SPLITS}
        write_atomically(
            self._file(kind, k),
            npz_bytes(
                arrays | {"rung": np.asarray(json.dumps(plain)), "signature": np.asarray(signature)}
            ),
        )
        return rung

    def _file(self, kind: str, k: int | None) -> Path:
        return self.out / "rungs" / f"{kind}{'' if k is None else f'-{k}'}.npz"

    def _kept(self) -> list[Path]:
        return sorted((self.out / "rungs").glob("*.npz"))

    def _read(self, kind: str, k: int | None, signature: str) -> dict[str, Any] | None:
        arrays = read_npz(self._file(kind, k))
        if arrays is None or str(arrays["signature"]) != signature:
            return None
        rung = json.loads(str(arrays["rung"]))
        for name in arrays.keys() - {"rung", "signature"}:
            split, line = name.split(".")
            rung[split][line]["per_datum"] = arrays[name]
        return rung

    def _signature(self, base: "Run", epochs: int) -> str:
        """What a kept measurement depends on, as text."""
        weights = {
            epoch: (base.path / "checkpoints" / f"{epoch}.sha256").read_text()
            for epoch in base.checkpoints.epochs()[-1:]
        }
        return json.dumps(
            [
                weights,
                base.record["data"]["fingerprints"],
                self.seed,
                epochs,
                self.num_samples,
                self.rows,
            ],
            sort_keys=True,
        )

    def _results(
        self, rungs: list[dict[str, Any]], base: "Run", dataset: "Dataset", epochs: int
    ) -> Results:
        from jensen.reports import draw_ladder
        from jensen.reproductions._ladder import paired

        files = []
        for name, content in draw_ladder(rungs).items():
            write_atomically(self.out / name, content)
            files.insert(0, str(self.out / name))
        files += [str(self.out / "results.md"), str(self.out / "results.json")]
        plain = []
        for rung in rungs:
            row = {"kind": rung["kind"], "components": rung["components"]} | {
                s: _without_arrays(rung[s]) for s in SPLITS
            }
            for name, other in (("gain", rungs[0]), ("over_aggregated", rungs[-1])):
                row[name] = {
                    s: {
                        m: paired(rung[s][m]["per_datum"], other[s][m]["per_datum"])
                        for m in ("elbo", "evidence")
                    }
                    for s in SPLITS
                }
            plain.append(row)
        details = {
            "unit": "nats per datum",
            "run": str(base.path),
            "data": dataset.name,
            "n": {s: len(dataset.split(s)) for s in SPLITS},
        }
        details |= {
            "num_samples": self.num_samples,
            "evidence_rows": {s: min(self.rows, n) for s, n in details["n"].items()},
            "epochs": epochs,
            "seed": self.seed,
        }
        results = Results(
            f"The ladder of priors on {dataset.name}: nats per datum",
            COLUMNS,
            tuple(plain),
            notes(plain, details["n"], details["evidence_rows"]),
            details,
            0,
            tuple(files),
        )
        results.write(self.out)
        return results


def _own_prior(model: "Model") -> bool:
    return (
        model.recipe is None
        or model.recipe.values["prior"].get("scale", 1.0) != 1.0
        or model.recipe.values["prior"]["name"] != "standard_normal"
    )


def _without_arrays(lines: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {k: v for k, v in line.items() if k != "per_datum"}
        if isinstance(line, dict)
        else line
        for name, line in lines.items()
    }
