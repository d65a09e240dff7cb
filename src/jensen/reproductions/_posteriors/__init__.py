"""The twelve posteriors of posteriordb as NumPyro models: one file each, called as its Stan program is. This is code to be read beside the Stan program.

posterior = load("blr", data_dir="~/data")
numpyro.infer.util.log_density(posterior.model, posterior.arguments, {}, {"beta": jnp.zeros(5), "sigma": 1.0})
"""

from jensen._rooms import Room
from jensen.reproductions._posteriors._base import AbstractPosterior as AbstractPosterior
from jensen.reproductions._posteriors._base import Coordinates as Coordinates

posteriors = Room(__name__, "posterior")
__getattr__, __dir__ = posteriors.attribute_access()


def load(name: str, *, data_dir: str | None = None) -> AbstractPosterior:
    """The posterior called `name`, 'blr' or in full 'sblrc-blr', with its data.

    Raises:
        ValueError: an unknown name, or data that are not there.

        load("sblrc-blr", data_dir="~/data").proper  # True
    """
    from jensen.reproductions._posteriors._data import read_data

    member = posteriors.find(stem_of(name))
    return posteriors.build(stem_of(name), {}, {"data": read_data(member.data_name, data_dir)})


def stem_of(name: str) -> str:
    """The member that `name` names: posteriordb calls a posterior by its data and its program, and here the program is enough.

    stem_of("sblrc-blr")  # 'blr'
    """
    stem = name.rpartition("-")[2]
    if stem in posteriors.names() and name not in (stem, posteriors.find(stem).name):
        raise ValueError(
            f"unknown posterior {name!r} (did you mean {posteriors.find(stem).name!r}?)."
        )
    return stem
