"""Evaluates the callables of a foreign model on the host by batches, and checks their answers."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

OptionalCallable = Callable[..., Any] | None
DEFAULT_NAMES = {
    "encode": "encode",
    "log_likelihood": "log_likelihood",
    "log_likelihood_gradient": "log_likelihood_gradient",
}


class ForeignError(ValueError):
    """An error of a foreign model's callable; its cause is the exception that it raised, if any."""


class Host:
    """A foreign model's callables. Each gets new arrays (rows of a batch, in `dtype`), which it may
    store or change.

    While it is `watched` (see `guarded`), an exception is stored in `failure`, and all further
    answers are NaN without a call, until the caller raises it. An exception within a compiled
    program would lose its type and come out as a traceback.

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
        callables: dict[str, OptionalCallable],
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
        """Whether the model has a callable of this name."""
        return self._callables.get(name) is not None

    def called(self, name: str) -> str:
        """The name of a callable in messages."""
        return self._names.get(name, name)

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the posterior's scale, or of its Cholesky factor."""
        return (self.latent_dim,) * (2 if self.full else 1)

    def encode(self, x: np.ndarray) -> Sequence[np.ndarray]:
        """Computes (loc, scale) of data [..., *event]."""
        return self._batched(
            "encode", [(self.latent_dim,), self.scale_shape], (x, self.event_shape)
        )

    def log_likelihood(self, x: np.ndarray, z: np.ndarray) -> Sequence[np.ndarray]:
        """Computes log p(x|z), nats, of data [..., *event] and codes [..., latent]."""
        return self._batched("log_likelihood", [()], (x, self.event_shape), (z, (self.latent_dim,)))

    def likelihood_and_gradient(self, x: np.ndarray, z: np.ndarray) -> Sequence[np.ndarray]:
        """Computes log p(x|z), nats, and its gradient in z."""
        return self._batched(
            "log_likelihood_gradient",
            [(), (self.latent_dim,)],
            (x, self.event_shape),
            (z, (self.latent_dim,)),
        )

    def log_prior(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """Computes log p(z), nats, of codes [..., latent]."""
        return self._batched("log_prior", [()], (z, (self.latent_dim,)))

    def prior_and_gradient(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """Computes log p(z), nats, and its gradient."""
        return self._batched(
            "log_prior_gradient", [(), (self.latent_dim,)], (z, (self.latent_dim,))
        )

    def decode(self, z: np.ndarray) -> Sequence[np.ndarray]:
        """Computes E[x|z] of codes [..., latent]."""
        return self._batched("decode", [self.event_shape], (z, (self.latent_dim,)))

    def sample(self, z: np.ndarray, seed: np.ndarray) -> Sequence[np.ndarray]:
        """Draws x ~ p(x|z) for codes [..., latent], each with its own seed [..., 2]."""
        return self._batched("sample", [self.event_shape], (z, (self.latent_dim,)), (seed, (2,)))

    def _batched(
        self,
        name: str,
        shapes: Sequence[tuple[int, ...]],
        *arguments: tuple[np.ndarray, tuple[int, ...]],
    ) -> Sequence[np.ndarray]:
        """Evaluates a callable on arguments whose leading axes are equal or of length 1."""
        leading = np.broadcast_shapes(*(a.shape[: a.ndim - len(event)] for a, event in arguments))
        out = [np.full((math.prod(leading), *shape), np.nan) for shape in shapes]
        if self.failure is None:
            try:
                for start in range(0, len(out[0]), self.batch_size):
                    index = np.arange(start, min(start + self.batch_size, len(out[0])))
                    answers = self._ask(
                        name, shapes, [_rows(a, leading, index) for a, _ in arguments]
                    )
                    for result, part in zip(out, answers, strict=True):
                        result[index] = part
            except BaseException as error:
                if not self.watched:
                    raise
                self.failure = error
                out = [np.full_like(result, np.nan) for result in out]
        return [result.reshape(leading + shape) for result, shape in zip(out, shapes, strict=True)]

    def _ask(
        self, name: str, shapes: Sequence[tuple[int, ...]], arguments: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray]:
        """Evaluates a callable on one batch and checks the shapes of its answers."""
        rows = len(arguments[0])
        if name == "sample":  # one code at a time, so that a draw depends on its own seed alone
            z, seeds = arguments
            draws = [
                self._call(name, z[i : i + 1].astype(self.dtype), np.random.default_rng(seeds[i]))
                for i in range(rows)
            ]
            return [np.concatenate([self._checked(name, d, (1, *shapes[0])) for d in draws])]
        inputs = [a.astype(self.dtype) for a in arguments]  # copies: the callable may change them
        answer = self._call(name, *inputs)
        if name.endswith("_gradient") and not (
            isinstance(answer, tuple | list) and len(answer) == 2
        ):
            # A gradient alone: the values come from the callable of the density.
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
            message_lines = str(error).strip().splitlines()
            text = (
                f"{type(error).__name__}: {message_lines[0]}"
                if message_lines
                else type(error).__name__
            )
            raise ForeignError(
                f"{self.called(name)} raised {text} (it was given {self.dtype} arrays of shape "
                f"{shapes}). Call it by itself with such arrays to look into it."
            ) from error

    def _checked(self, name: str, answer: Any, expected: tuple[int, ...]) -> np.ndarray:
        name, _, part = name.partition("|")
        what = f"{self.called(name)}'s {part}" if part else f"{self.called(name)}'s answer"
        try:
            array = np.asarray(answer)
        except Exception as error:
            raise ForeignError(
                f"{what} is no NumPy array ({error}). Return NumPy arrays; for PyTorch models "
                "use jensen.interop.torch.from_torch."
            ) from error
        if array.dtype.kind not in "fiub":
            raise ForeignError(
                f"{what} must be an array of real numbers; got {_described(answer)}."
            )
        if array.shape != expected:
            raise ForeignError(
                f"{what} must have shape {expected} for {expected[0]} data; got {array.shape}. "
                f"{self._remedy(name, part, array, expected)}"
            )
        return array

    def _remedy(self, name: str, part: str, array: np.ndarray, expected: tuple[int, ...]) -> str:
        rows = expected[0]
        if name in ("log_likelihood", "log_prior") and array.size == 1 and rows > 1:
            return (
                "That is one number for the whole batch, such as a loss reduced by mean or "
                "sum: sum over the axes of a datum alone (reduction='none' first)."
            )
        if (
            name in ("log_likelihood", "log_prior")
            and array.ndim > 1
            and array.shape[:1] == (rows,)
        ):
            return "Sum over all axes but the first: one log density for each datum."
        if part == "scale" and array.shape in (
            (rows, self.latent_dim),
            (rows, self.latent_dim, self.latent_dim),
        ):
            other_posterior = "diagonal_normal" if self.full else "full_normal"
            return (
                f"If that is intended, pass posterior={other_posterior!r}: "
                f"{'scales' if self.full else 'a Cholesky factor'} of shape {array.shape}."
            )
        if array.ndim == len(expected) and array.shape[:1] == (rows,) and name != "decode":
            return f"latent_dim is {self.latent_dim} here; is that the model's?"
        return (
            f"event_shape is {self.event_shape} and latent_dim {self.latent_dim}; the "
            "first axis is the batch."
        )


def _rows(a: np.ndarray, leading: tuple[int, ...], index: np.ndarray) -> np.ndarray:
    """Copies rows of `a`, by their flat numbers in the common leading axes of all arguments."""
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
