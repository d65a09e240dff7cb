"""The callables of a foreign model, evaluated batch by batch on the host: what they are given, what
they may answer, and what becomes of their exceptions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Given = Callable[..., Any] | None
DEFAULT_NAMES = {
    "encode": "encode",
    "log_likelihood": "log_likelihood",
    "log_likelihood_gradient": "log_likelihood_gradient",
}


class ForeignError(ValueError):
    """What a foreign model's callable did wrong; the exception that it raised, if it raised one, is
    the cause.
    """


class Host:
    """A foreign model's callables. Each gets arrays of its own (rows of a batch, in `dtype`), so
    that it may keep or change them.

    While it is `watched` (see `guarded`), an exception is kept in `failure` and the answers are
    NaN, at no cost, until whoever watches raises it: what raises within a compiled program comes
    out of it as a traceback, and not as what was raised.

    Args:
        callables: name -> callable or None.
        event_shape, latent_dim: of one datum, and of one code.
        full: whether encode's scale is a Cholesky factor.
        dtype: of the arrays that are handed over.
        batch_size: rows handed over at a time.
        names: what the callables are called in messages, if not by their own names.
    """

    def __init__(
        self,
        callables: dict[str, Given],
        *,
        event_shape: tuple[int, ...],
        latent_dim: int,
        full: bool = False,
        dtype: str = "float32",
        batch_size: int = 2048,
        names: dict[str, str] | None = None,
    ):
        self.event_shape = event_shape
        self.latent_dim = latent_dim
        self.full = full
        self.dtype = np.dtype(dtype)
        self.batch_size = batch_size
        self.watched = False
        self.failure: BaseException | None = None
        self._callables = callables
        self._names = names or {}

    def has(self, name: str) -> bool:
        """Whether there is such a callable."""
        return self._callables.get(name) is not None

    def called(self, name: str) -> str:
        """What a callable is called in messages."""
        return self._names.get(name, name)

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """Of the posterior's scale, or of its Cholesky factor."""
        return (self.latent_dim,) * (2 if self.full else 1)

    def encode(self, x: np.ndarray) -> Sequence[np.ndarray]:
        """(loc, scale) of data [..., *event]."""
        return self._batched(
            "encode", [(self.latent_dim,), self.scale_shape], (x, self.event_shape)
        )

    def log_likelihood(self, x: np.ndarray, z: np.ndarray) -> Sequence[np.ndarray]:
        """log p(x|z) of data [..., *event] and codes [..., latent]."""
        return self._batched("log_likelihood", [()], (x, self.event_shape), (z, (self.latent_dim,)))

    def likelihood_and_gradient(self, x: np.ndarray, z: np.ndarray) -> Sequence[np.ndarray]:
        """log p(x|z) and its gradient in z."""
        return self._batched(
            "log_likelihood_gradient",
            [(), (self.latent_dim,)],
            (x, self.event_shape),
            (z, (self.latent_dim,)),
        )

    def log_prior(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """log p(z) of codes [..., latent]."""
        return self._batched("log_prior", [()], (z, (self.latent_dim,)))

    def prior_and_gradient(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """log p(z) and its gradient."""
        return self._batched(
            "log_prior_gradient", [(), (self.latent_dim,)], (z, (self.latent_dim,))
        )

    def decode(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """E[x|z] of codes [..., latent]."""
        return self._batched("decode", [self.event_shape], (z, (self.latent_dim,)))

    def sample(self, z: np.ndarray, seed: np.ndarray) -> Sequence[np.ndarray]:
        """x ~ p(x|z) of codes [..., latent], each with a seed [..., 2] of its own."""
        return self._batched("sample", [self.event_shape], (z, (self.latent_dim,)), (seed, (2,)))

    def _batched(
        self,
        name: str,
        shapes: Sequence[tuple[int, ...]],
        *arguments: tuple[np.ndarray, tuple[int, ...]],
    ) -> Sequence[np.ndarray]:
        """The answers for arguments whose leading axes are the same or of length 1."""
        leading = np.broadcast_shapes(*(a.shape[: a.ndim - len(event)] for a, event in arguments))
        out = [np.full((math.prod(leading), *shape), np.nan) for shape in shapes]
        if self.failure is None:
            try:
                for start in range(0, len(out[0]), self.batch_size):
                    index = np.arange(start, min(start + self.batch_size, len(out[0])))
                    answers = self._ask(
                        name, shapes, [_rows(a, leading, index) for a, _ in arguments]
                    )
                    for whole, part in zip(out, answers, strict=True):
                        whole[index] = part
            except BaseException as error:
                if not self.watched:
                    raise
                self.failure = error
                out = [np.full_like(whole, np.nan) for whole in out]
        return [whole.reshape(leading + shape) for whole, shape in zip(out, shapes, strict=True)]

    def _ask(
        self, name: str, shapes: Sequence[tuple[int, ...]], arguments: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        """The answers of one callable for one batch, of the shapes that they must have."""
        rows = len(arguments[0])
        if name == "sample":  # one code at a time, so that a draw depends on its own seed alone
            z, seeds = arguments
            draws = [
                self._call(name, z[i : i + 1].astype(self.dtype), np.random.default_rng(seeds[i]))
                for i in range(rows)
            ]
            return [np.concatenate([self._checked(name, d, (1, *shapes[0])) for d in draws])]
        given = [a.astype(self.dtype) for a in arguments]
        answer = self._call(name, *given)
        if name.endswith("_gradient") and not (
            isinstance(answer, tuple | list) and len(answer) == 2
        ):
            value = name.removesuffix("_gradient")
            answer = (self._call(value, *(a.astype(self.dtype) for a in arguments)), answer)
        if len(shapes) == 1:
            return [self._checked(name, answer, (rows, *shapes[0]))]
        if not (isinstance(answer, tuple | list) and len(answer) == 2):
            raise ForeignError(
                f"{self.called(name)} must return a pair (loc, scale) of arrays; got "
                f"{_described(answer)}."
            )
        parts = ("loc", "scale") if name == "encode" else ("values", "gradient")
        return [
            self._checked(f"{name}|{part}", a, (rows, *shape))
            for part, a, shape in zip(parts, answer, shapes, strict=True)
        ]

    def _call(self, name: str, *arguments: Any) -> Any:
        try:
            return self._callables[name](*arguments)  # pyright: ignore[reportOptionalCall]
        except Exception as error:
            shapes = ", ".join(str(a.shape) for a in arguments if isinstance(a, np.ndarray))
            said = str(error).strip().splitlines()
            text = f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
            raise ForeignError(
                f"{self.called(name)} raised {text} (it was given {self.dtype} arrays of shape "
                f"{shapes}). Call it by itself with such arrays to look into it."
            ) from error

    def _checked(self, name: str, answer: Any, expected: tuple[int, ...]) -> np.ndarray:
        name, _, part = name.partition("|")
        what = f"{self.called(name)}'s {part}" if part else f"{self.called(name)}'s answer"
        try:
            found = np.asarray(answer)
        except Exception as error:
            raise ForeignError(
                f"{what} is no NumPy array ({error}). Return NumPy arrays; for PyTorch models "
                "use jensen.interop.torch.from_torch."
            ) from error
        if found.dtype.kind not in "fiub":
            raise ForeignError(
                f"{what} must be an array of real numbers; got {_described(answer)}."
            )
        if found.shape != expected:
            raise ForeignError(
                f"{what} must have shape {expected} for {expected[0]} data; got {found.shape}. "
                f"{self._remedy(name, part, found, expected)}"
            )
        return found

    def _remedy(self, name: str, part: str, found: np.ndarray, expected: tuple[int, ...]) -> str:
        rows = expected[0]
        if name in ("log_likelihood", "log_prior") and found.size == 1 and rows > 1:
            return (
                "That is one number for the whole batch, such as a loss reduced by mean or "
                "sum: sum over the axes of a datum alone (reduction='none' first)."
            )
        if (
            name in ("log_likelihood", "log_prior")
            and found.ndim > 1
            and found.shape[:1] == (rows,)
        ):
            return "Sum over all axes but the first: one log density for each datum."
        if part == "scale" and found.shape in (
            (rows, self.latent_dim),
            (rows, self.latent_dim, self.latent_dim),
        ):
            wanted = "diagonal_normal" if self.full else "full_normal"
            return (
                f"If that is what you mean, say posterior={wanted!r}: "
                f"{'scales' if self.full else 'a Cholesky factor'} of shape {found.shape}."
            )
        if found.ndim == len(expected) and found.shape[:1] == (rows,) and name != "decode":
            return f"latent_dim is {self.latent_dim} here; is that the model's?"
        return (
            f"event_shape is {self.event_shape} and latent_dim {self.latent_dim}; the "
            "first axis is the batch."
        )


def _rows(a: np.ndarray, leading: tuple[int, ...], index: np.ndarray) -> np.ndarray:
    """Rows of `a`, by their numbers in the leading axes that all arguments have together; a copy."""
    if not leading:
        return a[None].copy()
    where = tuple(
        i if n > 1 else np.zeros_like(i)
        for i, n in zip(np.unravel_index(index, leading), a.shape, strict=False)
    )
    return a[where]


def _described(answer: Any) -> str:
    shape, dtype = getattr(answer, "shape", None), getattr(answer, "dtype", None)
    return (
        type(answer).__name__
        + (f" of shape {tuple(shape)}" if shape is not None else "")
        + (f" and dtype {dtype}" if dtype is not None else "")
    )
