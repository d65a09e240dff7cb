"""The configuration of a run: typed, one TOML file, every default filled in before anything is
computed.

A section that names a member of a room (`[prior] name = "vamp"`) takes that class's options; they
are checked against its signature, so a new class needs no line here.
"""

import inspect
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from jensen._rooms import LATENT_DIM, MODELS, ROOMS, nearest
from jensen.anatomy import account
from jensen.training import TrainingOptions


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _source(value: Any) -> str:
    """The very text that was given: one that a run recorded (`RecordedName`) stays such."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"data.source: should be a name or a path; got {value!r}")
    return value


class DataConfig(_Section):
    """Which data (a name from `jensen datasets`, or a file), where named ones lie, and how they are
    split and binarised (see `load_dataset`)."""

    source: Annotated[str, PlainValidator(_source)] = "digits"
    data_dir: str | None = None
    seed: int = 0
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    binarise: Literal["none", "dynamic", "threshold"] | None = None
    split: Literal["random", "contiguous"] | None = None
    columns: list[str] | None = None
    header: bool | None = None
    index: str | int | None = None
    key: str | None = None


def _latent_dim(value: Any) -> int | list[int]:
    sizes = value if isinstance(value, list | tuple) else [value]
    if not sizes or any(isinstance(size, bool) or not isinstance(size, int) for size in sizes):
        raise ValueError(
            f"model.latent_dim: should be a whole number, or one for each level; got {value!r}"
        )
    if min(sizes) < 1:
        raise ValueError(
            f"model.latent_dim: should be greater than or equal to 1; got {min(sizes)}"
        )
    return value if isinstance(value, int) else list(sizes)


class ModelConfig(_Section):
    """The architecture, and the size of its latent code: one number, or one for each level, that of
    z1 first."""

    name: str = MODELS.default
    latent_dim: Annotated[int | list[int], PlainValidator(_latent_dim)] = LATENT_DIM

    @model_validator(mode="before")
    @classmethod
    def _not_by_hand(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("name") == "by_hand":
            raise ValueError(
                "model.name: this configuration records a model that was put together in Python, "
                "which jensen cannot build; fit it from Python"
            )
        return values

    @model_validator(mode="after")
    def _known(self) -> "ModelConfig":
        names = MODELS.names()
        if self.name not in names:
            raise ValueError(
                f"unknown model {self.name!r}{nearest(self.name, names)}; known: {', '.join(names)}"
            )
        if self.name == "vae" and not isinstance(self.latent_dim, int):
            raise ValueError(
                f"model.latent_dim: a vae has one level; for the levels {self.latent_dim} use "
                "model.name = 'hvae' or 'markov' (--model hvae)"
            )
        if self.name != "vae" and isinstance(self.latent_dim, int):
            self.latent_dim = [self.latent_dim] * 2
        return self


class AccountConfig(_Section):
    """The sizes of an account.

    Attributes:
        num_samples: importance samples per datum for the evidence.
        num_draws: posterior draws per datum for the other lines; by default 1 to 16, by the size of
            the data.
        aggregated_over: how many of the data q(z) is taken over; by default all, or as many as can
            be afforded.
        gaps: on how many data the Jensen gap is split; by default on none.
        gap_family: by posteriors of which family; by default the encoder's own.
    """

    num_samples: Annotated[int, Field(ge=2)] = (
        inspect.signature(account).parameters["num_samples"].default
    )
    num_draws: Annotated[int, Field(ge=1)] | None = None
    aggregated_over: Annotated[int, Field(ge=2)] | None = None
    gaps: Annotated[int, Field(ge=1)] | None = None
    gap_family: Literal["own", "diagonal", "full", "flow"] | None = None


class RecordConfig(_Section):
    """What is written besides checkpoints, metrics and the report."""

    tensorboard: bool = False


class Config(_Section):
    """Everything that determines a run.

    Raises:
        ValueError: from `Config.read`, naming each key that is unknown or whose value is wrong.

        Config.read({"prior": {"name": "vamp", "num_components": 200}}).prior
    """

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    prior: dict[str, Any] = {"name": ROOMS["prior"].default}
    likelihood: dict[str, Any] = {"name": ROOMS["likelihood"].default}
    encoder: dict[str, Any] = {"name": ROOMS["encoder"].default}
    decoder: dict[str, Any] = {"name": ROOMS["decoder"].default}
    network: dict[str, Any] = {"name": ROOMS["network"].default}
    # Where `network` is not to serve both; what is not said is taken from `network`.
    encoder_network: dict[str, Any] | None = None
    decoder_network: dict[str, Any] | None = None
    bound: dict[str, Any] = {"name": ROOMS["bound"].default}
    gradient: dict[str, Any] = {"name": ROOMS["gradient"].default}
    training: TrainingOptions = TrainingOptions()
    account: AccountConfig = AccountConfig()
    record: RecordConfig = RecordConfig()

    @model_validator(mode="after")
    def _resolve_rooms(self) -> "Config":
        for section, room in ROOMS.items():
            given, default = getattr(self, section), type(self).model_fields[section].default
            if given is not None:
                base = self.network if default is None else default
                resolved = room.resolve(given, where=f"{section}.", base=base)
                setattr(self, section, resolved.section)
        return self

    @staticmethod
    def read(values: Mapping[str, Any]) -> "Config":
        """The configuration that a nested mapping describes, every default filled in.

        Raises:
            ValueError: one sentence per wrong key or value.
        """
        try:
            return Config.model_validate(values)
        except ValidationError as error:
            raise ValueError("; ".join(_sentence(dict(e)) for e in error.errors())) from None

    def settings(self) -> dict[str, Any]:
        """The configuration as nested plain values, without the keys that have no value (None).

        Config().settings()["prior"]  # {"name": "standard_normal", "scale": 1.0}
        """
        return _without_none(self.model_dump(mode="json"))

    def to_toml(self) -> str:
        """The configuration as TOML; keys without a value (None) are left out, since TOML has no
        such thing."""
        return to_toml(self.settings())


def to_toml(settings: Mapping[str, Any]) -> str:
    """Nested plain values as TOML; keys without a value (None) are left out.

    to_toml({"seed": 0})
    """
    return tomli_w.dumps(_without_none(settings))


def read_toml(path: Path) -> dict[str, Any]:
    """The nested mapping in a TOML file.

    Raises:
        ValueError: no such file, unreadable, or not TOML (with line and column).
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply to be read.") from None
    except FileNotFoundError:
        raise ValueError(f"no such configuration file: {path}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the configuration file {path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from error


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """{'prior': {'num_components': 200}} from ['prior.num_components=200']; values are read as
    TOML, otherwise as text.

    Raises:
        ValueError: a text without '='.
    """
    out: dict[str, Any] = {}
    for text in texts:
        key, separator, raw = text.partition("=")
        if not separator or not key.strip():
            raise ValueError(
                "--set wants section.key=value, for instance --set prior.num_components=200; got "
                f"{text!r}."
            )
        try:
            value: Any = tomllib.loads(f"value = {raw}")["value"]
        except tomllib.TOMLDecodeError:
            value = raw.strip()
        except RecursionError:
            raise ValueError(f"--set {key.strip()}: the value is nested too deeply.") from None
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        out = merge(out, value)
    return out


def merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Two nested mappings; the second wins. Another `name` in a section drops the options of the
    first, which belong to another class."""
    out = dict(first)
    for key, value in second.items():
        old = out.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            renamed = "name" in value and value["name"] != old.get("name", value["name"])
            out[key] = dict(value) if renamed else merge(old, value)
        else:
            out[key] = value
    return out


def _sentence(error: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        names = _known_keys(error["loc"][:-1])
        close = nearest(str(error["loc"][-1]), names)
        return (
            f"the configuration key {key!r} does not exist{close}; known here: {', '.join(names)}."
        )
    message = error["msg"].removeprefix("Value error, ")
    return (
        f"{key}: {message}; got {error['input']!r}."
        if key and error["type"] != "value_error"
        else f"{message.rstrip('.')}."
    )


def _known_keys(section: tuple) -> tuple[str, ...]:
    if not section:
        return tuple(Config.model_fields)
    annotation = Config.model_fields[str(section[0])].annotation
    return tuple(
        getattr(annotation, "model_fields", None) or getattr(annotation, "__dataclass_fields__", {})
    )


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return value
