"""The account while a model trains: its cheap lines on a fixed subset of the training data.

They become curves against the epoch.

    ELBO = reconstruction - I(n; z) - KL(q(z) || p(z)),     q(z) = (1/M) sum_m q(z|x_m)

Subset and draws are the same at every epoch, so that a curve moves because the model does. q(z) is
that of the subset alone, so I(n; z) is at most log M, or the entropy of its distinct rows where
some repeat: these are figures of M training data, not of all N.

Taking accounts may cost SHARE of the training's time. What has been spent is read from the records,
so that a resumed training decides by the same rule as one that was never interrupted; the first
account of a process compiles its programs and is not counted.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import jax.random as jr
import numpy as np

from jensen._types import Key
from jensen.anatomy.aggregated import affordable_rows
from jensen.anatomy.elbo_surgery import Surgery, encode, surgery
from jensen.anatomy.lines import check_closure
from jensen.anatomy.surgery_lines import level_lines, surgery_lines
from jensen.anatomy.units import active_units
from jensen.model import Model

SHARE = 0.05  # of the training's time
CHEAP = ("elbo", "reconstruction", "average_kl", "index_information", "marginal_kl")
NUM_DRAWS = 2  # per datum: the fewest that tell of the spread within a datum
STREAM = 0x61636374  # what the run's key is folded with, far from the numbers of epochs

Record = dict[str, Any]


class InTraining:
    """Takes an account after every so many epochs.

    It is called after every epoch with the epoch's record and the current model, and returns
    {'account': ...} where an account is due, {} elsewhere.

    Args:
        model: as it is before training; its family of posteriors decides how many data can be
            afforded.
        data: the training data as they are accounted for, [N, *event]: grey levels drawn once.
        key: the run's; it chooses the subset and the draws.
        every: an account after every so many epochs, or rarer where that would take more than SHARE
            of the time.
        rows: M, at most: fewer where there are fewer data, or where q(z) of so many would take
            seconds (posteriors of a flow).
        before: the records of the epochs that are done, of a training that goes on.

    Raises:
        ValueError: every below 1, or fewer than 2 rows.

        watch = InTraining(model, dataset.split("train"), key, every=5)
        record |= watch(record, model)
    """

    def __init__(
        self,
        model: Model,
        data: np.ndarray,
        key: Key,
        *,
        every: int,
        rows: int = 1000,
        before: Sequence[Record] = (),
    ):
        if every < 1 or rows < 2:
            raise ValueError(
                "the account in training needs every >= 1 epoch and rows >= 2; got "
                f"every={every}, rows={rows}."
            )
        key_choice, self.key = jr.split(jr.fold_in(key, STREAM))
        order = np.asarray(jr.permutation(key_choice, len(data)))
        posteriors = encode(model, data[order[: min(rows, len(data))]])
        most = affordable_rows(posteriors, np.asarray(posteriors.one(0).sample(jr.key(0))))
        self.index = np.sort(order[: min(len(posteriors), most)])
        self.data = np.asarray(data[self.index])
        self.all = len(self.index) == len(data)
        self.every = every
        self._records = list(before)
        self._compiled = False

    def __call__(self, record: Record, model: Model) -> dict[str, Record]:
        self._records.append(record)
        if record["epoch"] % self.every or not _affordable(self._records):
            return {}
        began = time.monotonic()
        try:
            account = subset_account(
                surgery(
                    model,
                    self.data,
                    key=self.key,
                    num_draws=NUM_DRAWS,
                    aggregated_over=len(self.data),
                ),
                complete=self.all,
            )
        # A state that cannot be accounted for is no reason to end its training.
        except (ValueError, ArithmeticError) as error:
            account = {"n": len(self.data), "error": str(error)}
        account |= {
            "every": self.every,
            "seconds": round(time.monotonic() - began, 4),
            "compiling": not self._compiled,
        }
        self._compiled = True
        self._records[-1] = record | {"account": account}
        return {"account": account}


def subset_account(draws: Surgery, *, complete: bool = False) -> Record:
    """Collect the lines of a surgery on a subset of the training data as plain values.

    Each line has its value and its Monte Carlo standard error, nats per datum; beside them stand
    the active units, and a label that names the subset and its ceiling. `complete` says that the
    subset is all of the training data.

        subset_account(surgery(model, subset, key=key, num_draws=2))["index_information"]["value"]
    """
    n, kl = len(draws.z), draws.level_log_posteriors - draws.level_log_priors
    by_level = len(draws.indexed) < len(kl)
    lines, levels = surgery_lines(draws), level_lines(draws)
    check_closure({name: line.value for name, line in (lines | levels).items()})
    means = draws.posterior_means.reshape(n, -1)
    code = f"z{len(kl)}" if by_level and len(kl) > 1 else "z"
    return {
        "label": f"I(n; {code}) of {'all ' if complete else ''}{n} training data, at most "
        f"{draws.row_counts.ceiling_words(of_all=str(n))}",
        "n": n,
        "log_n": math.log(n),
        "index_ceiling": draws.row_counts.ceiling(),
        "distinct_rows": draws.row_counts.distinct,
        "num_draws": draws.z.shape[1],
        **{
            name: {"value": line.value, "standard_error": line.standard_error}
            for name, line in (lines | levels).items()
            if name in CHEAP or name in levels
        },
        "active_units": active_units(means),
        "latent_dim": means.shape[1],
    }


def accounts_of(history: Sequence[Record]) -> list[Record]:
    """Find the accounts among a training's records, each with its epoch, without failed ones.

    accounts_of(fit.history)[-1]["index_information"]["value"]
    """
    return [
        {"epoch": r["epoch"], **r["account"]} for r in history if "label" in r.get("account", {})
    ]


def remarks_of(history: Sequence[Record]) -> tuple[str, ...]:
    """Describe what went wrong with the accounts in a training; empty as a rule.

    That they are rarer than was asked for, or that some failed.

    remarks_of(fit.history)
    """
    made = [r["account"] for r in history if "account" in r]
    if not made:
        return ()
    remarks, every = [], made[-1]["every"]
    asked = sum(r["epoch"] % every == 0 for r in history)
    if len(made) < asked:
        seconds = [a["seconds"] for a in made if not a["compiling"]] or [made[-1]["seconds"]]
        remarks.append(
            f"the account in training was taken {len(made)} times, not at all {asked} epochs asked "
            f"for: one takes {np.median(seconds):.2g} s, and all may take {SHARE:.0%} of the "
            "training's time. Fewer data (--set "
            f"training.account_rows={max(2, made[-1]['n'] // 4)}) make it cheaper."
        )
    failed = [r for r in history if "error" in r.get("account", {})]
    if failed:
        remarks.append(
            f"the account after epoch {failed[0]['epoch']}"
            f"{f' and {len(failed) - 1} more' * (len(failed) > 1)} failed: "
            f"{failed[0]['account']['error']}"
        )
    return tuple(remarks)


def _affordable(records: Sequence[Record]) -> bool:
    """Whether one more account, as long as the last, keeps all within SHARE of the time.

    The time is that of the training since the first account.
    """
    first = next((i for i, r in enumerate(records) if "account" in r), len(records))
    later = records[first + 1 :]
    spent = [
        r["account"]["seconds"] for r in later if "account" in r and not r["account"]["compiling"]
    ]
    return sum(spent) + sum(spent[-1:]) <= SHARE * sum(r["seconds"] for r in later)
