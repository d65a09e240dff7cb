"""PyTorch modules as a `jensen.Model`: arrays cross without copies on CPUs, modules answer in eval
mode, gradients come from autograd.

For the time of each call every module given (its submodules too) is in eval mode and outside of
autograd; afterwards each has its own training flag back. That takes care of dropout layers and
batch normalisation; functional dropout without training=self.training is found out
(`jensen.interop.check_foreign`).
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from jensen.interop._foreign import foreign
from jensen.interop._priors import is_log_prior
from jensen.model import Model

try:
    import torch  # pyright: ignore[reportMissingImports]
except ImportError as error:
    raise ValueError(
        "jensen.interop.torch needs PyTorch, which is not installed: pip install 'jensen[torch]'."
    ) from error

SECOND = ("log_var", "log_scale", "scale")


def from_torch(
    encoder: Callable[..., Any] | None = None,
    decoder: Callable[..., Any] | None = None,
    *,
    event_shape: Sequence[int],
    latent_dim: int,
    likelihood: str | Callable[..., Any] = "bernoulli",
    second: str = "log_var",
    scale: float = 1.0,
    encode: Callable[..., Any] | None = None,
    log_likelihood: Callable[..., Any] | None = None,
    modules: Sequence[Any] = (),
    prior: Any = "standard_normal",
    posterior: str = "diagonal_normal",
    decode: Callable[..., Any] | None = None,
    sample: Callable[..., Any] | str | None = None,
    device: Any = None,
    dtype: str = "float32",
    batch_size: int = 2048,
) -> Model:
    """Makes a model from PyTorch modules, or from functions of tensors. B is at most `batch_size`.

    Args:
        encoder: x [B, *event] -> (loc, second) of q(z|x), each [B, D]; `second` says what the
            second of them is.
        decoder: z [B, D] -> of 'bernoulli' the logits, of 'normal' the means, reshaped to [B,
            *event].
        event_shape, latent_dim: of one datum, and of one code.
        likelihood: 'bernoulli' (data 0 and 1 alone), 'normal' (of standard deviation `scale`), or a
            function (decoder's answer, x) -> log p(x|z) [B].
        second: 'log_var', 'log_scale' or 'scale'.
        scale: of the normal likelihood.
        encode, log_likelihood: the general form, instead of encoder and decoder: x -> (loc, scale),
            and (x, z) -> log p(x|z) [B], of tensors.
        modules: those that the functions use; encoder and decoder, where they are modules, need not
            be named.
        prior: as of `jensen.foreign`; a torch distribution, a module or a function z [B, D] -> log
            p(z) [B] of tensors is differentiated by autograd; `jensen.interop.PseudoInputs` for a
            VampPrior.
        posterior: as of `jensen.foreign`; with 'full_normal' the second must be a scale: a Cholesky
            factor.
        decode: z [B, D] -> E[x|z] [B, *event], of tensors, where the likelihood is not named.
        sample: a NumPy function of codes z [1, D] and a random generator -> x [1, *event], or how
            to draw around `decode`'s means: 'bernoulli', or 'normal' with standard deviation
            `scale`; where the likelihood is not named.
        device: on which to evaluate; that of the first parameter by default. Modules are not moved.
        dtype: of the tensors.
        batch_size: rows at a time; bounds the memory, not the result.

    Returns:
        A `Model`; gradients in z, for refined posteriors and annealing, by autograd.

    Raises:
        ValueError: neither form or both, an unknown likelihood, or what `jensen.foreign` refuses.

        model = from_torch(encoder, decoder, event_shape=(64,), latent_dim=8)
        jensen.account(model, x, key=jax.random.key(0))
    """
    _check_form(encoder, decoder, encode, log_likelihood, second, posterior)
    named = {"bernoulli": _bernoulli, "normal": _normal(scale)}
    if isinstance(likelihood, str) and likelihood not in named:
        raise ValueError(
            f"likelihood must be one of {', '.join(named)}, or a function (decoder's answer, x) "
            f"-> log p(x|z) [B]; got {likelihood!r}."
        )
    if not (scale > 0 and math.isfinite(scale)) or (
        scale != 1.0 and "normal" not in (likelihood, sample)
    ):
        raise ValueError(
            f"scale is the positive standard deviation of likelihood='normal'; got {scale} with "
            f"likelihood={likelihood!r}."
        )
    event = tuple(event_shape)
    tensor_functions = _TensorFunctions(
        [
            m
            for m in (encoder, decoder, encode, log_likelihood, prior, *modules)
            if isinstance(m, torch.nn.Module)
        ],
        device,
        dtype,
    )
    if encoder is not None and decoder is not None:
        density: Any = likelihood if callable(likelihood) else named[likelihood]
        encode = _scaled(encoder, second)
        log_likelihood = lambda x, z: density(_shaped(decoder(z), x, likelihood), x)  # noqa: E731
        if not callable(likelihood):
            decode = decode or _means(decoder, likelihood, event)
            sample = sample or likelihood  # pyright: ignore[reportAssignmentType]
    assert encode is not None
    assert log_likelihood is not None
    decoded = None if decode is None else tensor_functions.answering(decode)
    if isinstance(sample, str):
        sample = _sampler(sample, decoded, scale)
    if isinstance(prior, torch.distributions.Distribution | torch.nn.Module):
        prior = getattr(prior, "log_prob", prior)
    own_prior = is_log_prior(prior)
    return foreign(
        event_shape=event,
        latent_dim=latent_dim,
        encode=tensor_functions.answering(encode),
        log_likelihood=tensor_functions.answering(log_likelihood),
        prior=tensor_functions.answering(prior) if own_prior else prior,
        posterior=posterior,
        log_likelihood_gradient=tensor_functions.with_gradient(log_likelihood),
        log_prior_gradient=tensor_functions.with_gradient(prior) if own_prior else None,
        decode=decoded,
        sample=sample,
        dtype=dtype,
        batch_size=batch_size,
        names={"encode": "encoder", "log_likelihood": "decoder and likelihood"}
        if encoder is not None
        else None,
    )


@contextlib.contextmanager
def evaluating(modules: Sequence[Any]) -> Iterator[None]:
    """Modules in eval mode, without autograd; afterwards each submodule has its own training flag
    back.

    with evaluating([vae]): vae(x)
    """
    flags = [(m, m.training) for module in modules for m in module.modules()]
    try:
        for module in modules:
            module.eval()
        with torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag


def to_tensor(array: np.ndarray, device: Any = "cpu") -> Any:
    """An array as a tensor: the same memory on CPUs, a copy elsewhere.

    to_tensor(np.zeros(3, np.float32))
    """
    return torch.from_numpy(array).to(device)


def to_array(tensor: Any) -> np.ndarray:
    """A tensor as an array: the same memory on CPUs, a copy elsewhere.

    to_array(torch.zeros(3))
    """
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"it returned {type(tensor).__name__} where a tensor is expected")
    array = tensor.detach().cpu()
    return (array.float() if array.dtype == torch.bfloat16 else array).numpy()


class _TensorFunctions:
    """Turns functions of tensors into functions of arrays."""

    def __init__(self, modules: Sequence[Any], device: Any, dtype: str):
        self.modules = list(dict.fromkeys(modules))
        parameters = (p for m in self.modules for p in (*m.parameters(), *m.buffers()))
        # The device of the first parameter: modules are not moved.
        first = next(parameters, None)
        self.device = (
            torch.device(device)
            if device is not None
            else (first.device if first is not None else torch.device("cpu"))
        )
        self.dtype = dtype

    def answering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def answer(*arrays: np.ndarray) -> Any:
            with evaluating(self.modules):
                output = function(*(to_tensor(a, self.device) for a in arrays))
                return (
                    tuple(map(to_array, output))
                    if isinstance(output, tuple | list)
                    else to_array(output)
                )

        return answer

    def with_gradient(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """(the values, their gradient in the last argument): a batch's rows are independent, so the
        gradient of the sum is each row's.
        """

        def answer(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with evaluating(self.modules), torch.enable_grad():
                *rest, z = (to_tensor(a, self.device) for a in arrays)
                z.requires_grad_(True)
                values = function(*rest, z)
                if not values.requires_grad:  # it does not look at the code
                    return to_array(values), np.zeros_like(arrays[-1])
                (gradient,) = torch.autograd.grad(
                    values.sum(), z, allow_unused=True, materialize_grads=True
                )
                return to_array(values), to_array(gradient)

        return answer


def _check_form(
    encoder: Any, decoder: Any, encode: Any, log_likelihood: Any, second: str, posterior: str
) -> None:
    modules, functions = (
        (encoder is not None, decoder is not None),
        (encode is not None, log_likelihood is not None),
    )
    if not ((all(modules) and not any(functions)) or (all(functions) and not any(modules))):
        raise ValueError(
            "from_torch needs an encoder and a decoder, or the two functions encode= and "
            "log_likelihood=: give one of these pairs."
        )
    if second not in SECOND:
        raise ValueError(f"second must be one of {', '.join(SECOND)}; got {second!r}.")
    if posterior == "full_normal" and all(modules) and second != "scale":
        raise ValueError(
            "posterior='full_normal' needs second='scale': the encoder's second answer is a "
            "Cholesky factor [B, D, D]."
        )


def _scaled(encoder: Callable[..., Any], second: str) -> Callable[..., Any]:
    def encode(x: Any) -> Any:
        output = encoder(x)
        if not (isinstance(output, tuple | list) and len(output) == 2):
            raise TypeError(
                f"it must return a pair (loc, {second}), and returned {type(output).__name__}; "
                "for another form give encode= and log_likelihood="
            )
        loc, second_output = output
        return loc, second_output if second == "scale" else torch.exp(
            second_output * (0.5 if second == "log_var" else 1.0)
        )

    return encode


def _shaped(outputs: Any, x: Any, likelihood: Any) -> Any:
    if callable(likelihood):
        return outputs
    if outputs.numel() != x.numel():
        raise ValueError(
            f"the decoder's answer has shape {tuple(outputs.shape)}, and the data "
            f"{tuple(x.shape)}: one number for each element is expected"
        )
    return outputs.reshape(x.shape)


def check_binary(x: Any, what: str) -> None:
    """Refuses data other than 0 and 1, of which `what` is no density.

    check_binary(torch.ones(3), "a Bernoulli likelihood")
    """
    if not bool(((x == 0) | (x == 1)).all()):
        raise ValueError(
            f"the data are not all 0 or 1, and {what} is no density of anything else; binarise "
            "them, or use a likelihood of real numbers"
        )


def _bernoulli(logits: Any, x: Any) -> Any:
    check_binary(x, "likelihood='bernoulli'")
    # x l - log(1 + e^l), without cancellation at large logits
    return (x * logits - torch.nn.functional.softplus(logits)).flatten(1).sum(1)


def _normal(scale: float) -> Callable[..., Any]:
    def density(mean: Any, x: Any) -> Any:
        squares = ((x - mean) / scale).square().flatten(1)
        return -0.5 * squares.sum(1) - squares.shape[1] * (
            math.log(scale) + 0.5 * math.log(2 * math.pi)
        )

    return density


def _means(
    decoder: Callable[..., Any], likelihood: str, event: tuple[int, ...]
) -> Callable[..., Any]:
    return lambda z: (
        torch.sigmoid(decoder(z)) if likelihood == "bernoulli" else decoder(z)
    ).reshape(-1, *event)


def _sampler(kind: str, mean: Callable[..., Any] | None, scale: float) -> Callable[..., Any]:
    if kind not in ("bernoulli", "normal") or mean is None:
        raise ValueError(
            "sample must be a function, or 'bernoulli' or 'normal' with a decode= to draw "
            f"around; got {kind!r} with decode={mean}."
        )

    def sample(z: np.ndarray, random: np.random.Generator) -> np.ndarray:
        mean_values = mean(z)
        return (
            (random.random(mean_values.shape) < mean_values).astype(mean_values.dtype)
            if kind == "bernoulli"
            else random.normal(mean_values, scale)
        )

    return sample
