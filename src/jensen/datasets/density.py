"""The twenty binary tables that density estimators are commonly compared on, called `density/NAME`.

Source: the collection of D. Lowd and J. Davis (2010), "Learning Markov Network Structure with
Decision Trees", and J. Van Haaren and J. Davis (2012), "Markov Network Structure Learning: A
Randomized Feature Generation Approach", with its standard splits; files
NAME.{train,valid,test}.data.
"""

from collections.abc import Mapping
from pathlib import Path

from jensen.datasets._dataset import Dataset
from jensen.datasets._published_formats import read_binary_text
from jensen.datasets._source import AbstractSource, PinnedFile

# Name -> (what a row is, variables, rows of train, validation, test).
_TABLES: dict[str, tuple[str, int, int, int, int]] = {
    "accidents": ("traffic accidents", 111, 12_758, 1_700, 2_551),
    "ad": ("internet advertisements", 1556, 2_461, 327, 491),
    "baudio": ("which artists a user listened to (Audio)", 100, 15_000, 2_000, 3_000),
    "bbc": ("words in news stories (BBC)", 1058, 1_670, 225, 330),
    "bnetflix": ("which films a user rated (Netflix)", 100, 15_000, 2_000, 3_000),
    "book": ("which books a user rated", 500, 8_700, 1_159, 1_739),
    "c20ng": ("words in newsgroup posts (20 Newsgroups)", 910, 11_293, 3_764, 3_764),
    "cr52": ("words in news stories (Reuters-52)", 889, 6_532, 1_028, 1_540),
    "cwebkb": ("words in web pages (WebKB)", 839, 2_803, 558, 838),
    "dna": ("splice junctions in DNA", 180, 1_600, 400, 1_186),
    "jester": ("which jokes a user liked", 100, 9_000, 1_000, 4_116),
    "kdd": ("visits to a web shop (KDDCup 2000)", 64, 180_092, 19_907, 34_955),
    "kosarek": ("clicks on a news portal", 190, 33_375, 4_450, 6_675),
    "msnbc": ("visits to a news site", 17, 291_326, 38_843, 58_265),
    "msweb": ("visits to microsoft.com", 294, 29_441, 3_270, 5_000),
    "nltcs": (
        "disabilities of the elderly (National Long Term Care Survey)",
        16,
        16_181,
        2_157,
        3_236,
    ),
    "plants": ("in which states a plant grows", 69, 17_412, 2_321, 3_482),
    "pumsb_star": ("census records", 163, 12_262, 1_635, 2_452),
    "tmovie": ("which films a user rated (EachMovie)", 500, 4_524, 1_002, 591),
    "tretail": ("market baskets", 135, 22_041, 2_938, 4_408),
}

# sha256 of the unpacked text of train, valid, test. The other tables are checked by their numbers
# of rows and variables alone.
_CHECKSUMS = {
    "nltcs": (
        "e547a7aedad1dd2f7177030881ab1b92c7e24ae5464c71a0f1f89daecaf52b30",
        "93bbbf5c6febdc9bc6e5b5bfab636f4dc0685ab2896d24b23dd267794c3bfcf6",
        "f9ffa6b74b27dc03bee3203d157ee31079e80b13be40d0c0093d635c25aed523",
    ),
    "plants": (
        "1fb1219ff94068d12a563f9e81f8889a1885f41e867884cff608669300c6848f",
        "47834ed318b2d74f48e4b083226ef47fd446d41986012ceae19d230574821b34",
        "95f53c033cd1d86467aec2610dc5bfe014534206c2da4919f73bcab246ab8755",
    ),
    "jester": (
        "dd93578c3359d5b234bb278bf0901c5215d83b910f7d51d7c91951a0a4c244cd",
        "91df833941e189265345898d3f63211560c2456df599f34beee8e95381ee7524",
        "346044fb561cf18f284f7e9d5896178b03048991b6ebb6f7482885fccbc16082",
    ),
}
_PARTS = ("train", "valid", "test")
_COLLECTION = "https://github.com/UCLA-StarAI/Density-Estimation-Datasets"
_ADDRESS = (
    "https://raw.githubusercontent.com/UCLA-StarAI/Density-Estimation-Datasets/master/datasets"
)


class Density(AbstractSource):
    """One of the twenty binary tables, in its standard split; `member` is its name, such as nltcs.

    load_dataset("density/nltcs").train  # uint8 0 and 1, (16181, 16)
    """

    members = tuple(_TABLES)
    values = "binary"
    licence = "no licence stated by the authors of the collection"
    remedy = (
        f"The files, {', '.join(f'NAME.{part}.data' for part in _PARTS)} (or "
        f".data.gz), are in {_COLLECTION}."
    )

    def __init__(self, member: str):
        rows, variables, *sizes = _TABLES[member]
        self.member = member
        self.description = f"binary table: {rows}"
        self.sizes = (sizes[0], sizes[1], sizes[2])
        self.event_shape = (variables,)
        self.files = tuple(
            PinnedFile(
                f"{member}.{part}.data",
                checksum,
                (f"{_ADDRESS}/{member}/{member}.{part}.data",) if checksum else (),
                size * variables * 2,
                folders=(member, "density_binary", "density", "."),
                gzipped=True,
            )
            for part, checksum, size in zip(
                _PARTS, _CHECKSUMS.get(member, (None, None, None)), self.sizes
            )
        )

    def load(self, *, files: Mapping[str, Path]) -> Dataset:
        """Reads the data set from its three text files."""
        train, validation, test = (read_binary_text(files[file.name]) for file in self.files)
        unpinned = (
            ()
            if self.member in _CHECKSUMS
            else (
                "no checksum of these files is known: only their numbers of rows and variables "
                "were checked",
            )
        )
        return Dataset(
            f"density/{self.member}",
            train,
            validation,
            test,
            notes=("standard split", *unpinned, f"licence: {self.licence}"),
        )
