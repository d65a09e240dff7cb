"""Decides which of several named arrays are data or labels, and to which split they belong."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from jensen._rooms import nearest
from jensen.datasets._dataset import SPLITS

WHOLE = "data"
_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_DATA_WORDS = {"x", "data", "image", "images", "img", "imgs", "feature", "features", "inputs"}
_LABEL_WORDS = {"y", "label", "labels", "target", "targets"}
_JOINED = re.compile(f"(x|y)({'|'.join(_SPLIT_WORDS)})")


class Choice(NamedTuple):
    """The keys of data (`arrays`) and of labels, by split or under WHOLE, and all other keys."""

    arrays: dict[str, str]
    labels: dict[str, str]
    left_out: tuple[str, ...]


def choose(keys: Sequence[str], name: str, key: str | None = None) -> Choice:
    """Interprets the keys of a mapping by the names that scikit-learn, Keras and others use: X, y;
    x_train, y_train, x_test, y_test; train, valid, test; imgs.

    Args:
        keys: all of them.
        name: of the mapping, for messages.
        key: the key of the data, which are then not split; by default as the names say.

    Raises:
        ValueError: names that do not say which array is which, or labels of no array.

        choose(["x_train", "y_train", "x_test", "y_test"], "mnist.npz").arrays["test"]  # "x_test"
    """
    roles = {k: _role(k) for k in keys}
    data = {k: split for k, (role, split) in roles.items() if role == "data"}
    labels = {k: split for k, (role, split) in roles.items() if role == "labels"}
    other = [k for k, (role, _) in roles.items() if role == ""]
    if key is not None:
        return _chosen(keys, name, key, roles[key][1] if key in roles else WHOLE, labels)
    in_splits = sorted(data.values())
    # Either a complete set of splits, or a single array that is split later.
    if in_splits in (["test", "train"], sorted(SPLITS)):
        arrays = {split: k for k, split in data.items()}
        spare = [k for k in other if not _like_labels(k)]
        unused = [k for k in other if _like_labels(k)]
    else:
        whole = list(data) or [k for k in other if not _like_labels(k)]
        if len(whole) != 1 or data.get(whole[0]) in ("validation", "test"):
            raise ValueError(
                f"{name}: the keys {', '.join(keys) or '(none)'} do not say which array is which; "
                "name them train, validation, test, or train, test (labels: train_labels etc.), "
                "or choose one of them with key=NAME (--set data.key=NAME)."
            )
        arrays = {WHOLE: whole[0]}
        spare = [k for k in other if k != whole[0] and not _like_labels(k)]
        unused = [k for k in other if _like_labels(k)]
        own = f"{whole[0]}_labels"
        labels = {k: WHOLE for k, split in labels.items() if split in (WHOLE, data.get(whole[0]))}
        if own in unused:
            labels[own] = WHOLE
            unused.remove(own)
    unused += [k for k, (role, _) in roles.items() if role == "labels" and k not in labels]
    unused += [k for k, split in labels.items() if split not in arrays]
    expected = (
        ("labels", f"{arrays[WHOLE]}_labels")
        if WHOLE in arrays
        else tuple(f"{split}_labels" for split in arrays)
    )
    # Labels that are silently ignored would be lost data.
    if unused:
        raise ValueError(
            f"{name}: the labels {unused[0]!r} belong to no array{nearest(unused[0], expected)}; "
            f"name them {' or '.join(expected)}."
        )
    by_split: dict[str, str] = {}
    for k, split in labels.items():
        if split in by_split:
            raise ValueError(
                f"{name}: both {by_split[split]!r} and {k!r} look like labels; leave one out."
            )
        by_split[split] = k
    return Choice(arrays, by_split, tuple(spare))


def _chosen(keys: Sequence[str], name: str, key: str, split: str, labels: dict[str, str]) -> Choice:
    if key not in keys:
        raise ValueError(
            f"{name}: no array is called {key!r}{nearest(key, tuple(keys))}; "
            f"it has {', '.join(keys)}."
        )
    own = [k for k in keys if k == f"{key}_labels"] or [
        k for k, of in labels.items() if of == split and k != key
    ]
    beside = {WHOLE: own[0]} if len(own) == 1 else {}
    left_out = tuple(k for k in keys if k != key and k not in beside.values())
    return Choice({WHOLE: key}, beside, left_out)


def _role(key: str) -> tuple[str, str]:
    """Returns ("data" or "labels", the split or WHOLE); ("", WHOLE) for other names."""
    words = [word for word in re.split("[^a-z0-9]+", key.lower()) if word]
    joined = _JOINED.fullmatch(words[0]) if len(words) == 1 else None
    words = list(joined.groups()) if joined else words
    splits = [_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS]
    kinds = [word for word in words if word in _DATA_WORDS | _LABEL_WORDS]
    if not words or len(splits) > 1 or len(kinds) > 1 or len(splits) + len(kinds) < len(words):
        return "", WHOLE
    role = "labels" if kinds and kinds[0] in _LABEL_WORDS else "data"
    return role, splits[0] if splits else WHOLE


def _like_labels(key: str) -> bool:
    return key.lower() != "labels" and key.lower().endswith(("_labels", "_label", "_targets"))
