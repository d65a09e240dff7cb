"""`Account`: the record of an account with all that can be made of it as methods."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jensen.anatomy.influence import Influence, influences
from jensen.anatomy.record import AccountRecord
from jensen.anatomy.remedy_ceilings import Ceiling, remedy_ceilings
from jensen.anatomy.storage import (
    account_arrays,
    account_from_json,
    account_to_dataset,
    account_to_json,
    account_to_netcdf,
)
from jensen.anatomy.text_table import account_table

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Account(AccountRecord):
    """The account of one model on one split; prints as a table.

    Its attributes are those of `AccountRecord`: the lines, `verdicts`, `levels`, `gaps` and more.

        acc = jensen.account(model, x, key=jax.random.key(0))
        acc.marginal_kl.value  # what a better prior can win at most, nats per datum
    """

    @property
    def influential(self) -> tuple[Influence, ...]:
        """The lines that a few data carry, and these data; empty as a rule."""
        return influences(self)

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """What each remedy can win: at most so much, or at least where a line is a bound."""
        return remedy_ceilings(self)

    def to_json(self) -> dict[str, Any]:
        """Plain values: what `jensen account RUN --json` prints."""
        return account_to_json(self)

    def arrays(self) -> dict[str, np.ndarray]:
        """The values per datum, as they are stored in a run folder."""
        return account_arrays(self)

    @staticmethod
    def from_json(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> "Account":
        """The account that `to_json` and `arrays` describe.

        Account.from_json(acc.to_json(), acc.arrays())
        """
        return account_from_json(Account, values, arrays)

    def to_dataset(self) -> "xarray.Dataset":
        """An xarray Dataset: every line over the dimension `datum`, in nats.

        Values and standard errors of the means are attributes; the shares of the latent dimensions
        lie over the dimension `latent`.

        acc.to_dataset()["elbo"].mean()  # the ELBO
        """
        return account_to_dataset(self)

    def to_netcdf(self, path: str | Path) -> None:
        """Write `to_dataset` as a netCDF file, whole or not at all.

        acc.to_netcdf("account.nc")  # xarray.open_dataset("account.nc") reads it
        """
        account_to_netcdf(self, Path(path))

    def __str__(self) -> str:
        return account_table(self)
