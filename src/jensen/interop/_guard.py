"""The front door: whatever takes a model and data checks a foreign one first, and raises what its
callables raised.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from jensen.interop._checks import check_foreign, host_of
from jensen.interop._host import Host
from jensen.interop._priors import HostPrior
from jensen.model import Model

F = TypeVar("F", bound=Callable[..., Any])


def guarded(function: F) -> F:
    """A function of `model` (and `data`), such that a foreign model is checked before it starts,
    and an exception in one of the model's callables comes out as one `ForeignError`. Models of
    jensen's own are not touched.

    @guarded
    def account(model, data, *, key): ...
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def front_door(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        model = bound.arguments.get("model")
        host = host_of(model) if isinstance(model, Model) else None
        if not isinstance(model, Model) or (host is not None and host.watched):
            return function(*arguments, **options)
        with _watched(host):
            if "data" in bound.arguments:
                check_foreign(model, bound.arguments["data"])
            return function(*bound.args, **bound.kwargs)

    return front_door  # pyright: ignore[reportReturnType]


@contextlib.contextmanager
def _watched(host: Host | None) -> Iterator[None]:
    if host is None:
        yield
        return
    host.watched, host.failure = True, None
    try:
        yield
    except Exception:
        if host.failure is None:
            raise
    finally:
        failure, host.watched, host.failure = host.failure, False, None
    if failure is not None:
        raise failure


def left_out(model: Model) -> dict[str, str]:
    """What cannot be had from a foreign model: its name, and the reason with the remedy.

    left_out(model)["annealing"]  # "there is no gradient of log p(x|z): give ..."
    """
    host = host_of(model)
    if host is None:
        return {}
    out = {}
    if missing := _missing_gradients(model, host):
        what = ("approximation_gap", "amortisation_gap", "refined proposals", "annealing")
        out |= dict.fromkeys(what, f"there is no gradient of {missing}")
    lacks = (
        []
        if not isinstance(model.prior, HostPrior)
        else ["p(z) is a callable (give a distribution)"]
    )
    lacks += [] if host.has("sample") else ["p(x|z) cannot be sampled (give sample=)"]
    if lacks:
        out["the bidirectional gap on simulated data"] = " and ".join(lacks)
    if not host.has("decode"):
        out["pictures of E[x|z]"] = "there is no decode="
    return out


def require_gradient(model: Model, what: str) -> None:
    """Refuses what follows gradients of log p(x, z) in z, where a foreign model has none.

    Raises:
        ValueError: says which gradient is missing, and how to give it.

        require_gradient(model, "annealing")
    """
    host = host_of(model)
    if host is not None and (missing := _missing_gradients(model, host)):
        raise ValueError(
            f"{what} follows gradients of log p(x, z) in z, and this model has no gradient of "
            f"{missing}."
        )


def _missing_gradients(model: Model, host: Host) -> str:
    lacks = (
        [] if host.has("log_likelihood_gradient") else ["log p(x|z): give log_likelihood_gradient="]
    )
    lacks += (
        ["log p(z): give log_prior_gradient="]
        if isinstance(model.prior, HostPrior) and not host.has("log_prior_gradient")
        else []
    )
    return ", and of ".join(lacks)
