"""Made by tools/make_stubs.py, for type checkers and editors alone."""

from jensen._rooms import Room
from jensen.datasets._available import Availability as Availability
from jensen.datasets._available import available as available
from jensen.datasets._dataset import Dataset as Dataset
from jensen.datasets._load import dataset_names as dataset_names
from jensen.datasets._load import load_dataset as load_dataset
from jensen.datasets._load import load_rows as load_rows
from jensen.datasets._load import sources as sources
from jensen.datasets._part import Like as Like
from jensen.datasets._rows import Rows as Rows
from jensen.datasets._source import AbstractSource as AbstractSource
from jensen.datasets._source import PinnedFile as PinnedFile
from jensen.datasets.caltech101 import Caltech101 as Caltech101
from jensen.datasets.density import Density as Density
from jensen.datasets.digits import Digits as Digits
from jensen.datasets.fashion_mnist import FashionMNIST as FashionMNIST
from jensen.datasets.frey_faces import FreyFaces as FreyFaces
from jensen.datasets.mnist import MNIST as MNIST
from jensen.datasets.omniglot import Omniglot as Omniglot
from jensen.datasets.static_mnist import StaticMNIST as StaticMNIST
