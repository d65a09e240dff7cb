"""Guards functions of a model and data: they check a foreign model first, and raise the errors of
its callables.
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
    """Wraps a function of `model` (and `data`): it checks a foreign model before it starts, and an
    exception in one of the model's callables becomes one `ForeignError`. Models that jensen built
    are not affected.

    @guarded
    def account(model, data, *, key): ...
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def guarded_function(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        model = bound.arguments.get("model")
        host = host_of(model) if isinstance(model, Model) else None
        if not isinstance(model, Model) or (host is not None and host.watched):
            return function(*arguments, **options)
        with _watched(host):
            if "data" in bound.arguments:
                check_foreign(model, bound.arguments["data"])
            return function(*bound.args, **bound.kwargs)

    return guarded_function  # pyright: ignore[reportReturnType]


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
    """Lists what cannot be computed for a foreign model: name -> the reason with the remedy.

    left_out(model)["annealing"]  # "there is no gradient of log p(x|z): give ..."
    """
    host = host_of(model)
    if host is None:
        return {}
    reasons = {}
    if missing := _missing_gradients(model, host):
        what = ("approximation_gap", "amortisation_gap", "refined proposals", "annealing")
        reasons |= dict.fromkeys(what, f"there is no gradient of {missing}")
    missing_for_simulation = (
        []
        if not isinstance(model.prior, HostPrior)
        else ["p(z) is a callable (give a distribution)"]
    )
    missing_for_simulation += (
        [] if host.has("sample") else ["p(x|z) cannot be sampled (give sample=)"]
    )
    if missing_for_simulation:
        reasons["the bidirectional gap on simulated data"] = " and ".join(missing_for_simulation)
    if not host.has("decode"):
        reasons["pictures of E[x|z]"] = "there is no decode="
    return reasons


def require_gradient(model: Model, what: str) -> None:
    """Checks that a model has the gradients of log p(x, z) in z that a computation needs.

    Raises:
        ValueError: says which gradient is missing, and how to give it.

        require_gradient(model, "annealing")
    """
    host = host_of(model)
    if host is not None and (missing := _missing_gradients(model, host)):
        raise ValueError(
            f"{what} needs gradients of log p(x, z) in z, and this model has no gradient of "
            f"{missing}."
        )


def _missing_gradients(model: Model, host: Host) -> str:
    missing = (
        [] if host.has("log_likelihood_gradient") else ["log p(x|z): give log_likelihood_gradient="]
    )
    missing += (
        ["log p(z): give log_prior_gradient="]
        if isinstance(model.prior, HostPrior) and not host.has("log_prior_gradient")
        else []
    )
    return ", and of ".join(missing)
