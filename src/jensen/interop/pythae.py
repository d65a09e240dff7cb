"""A model of Pythae (Chadebec, Vincent & Allassonniere 2022) as a `jensen.Model`: VAE, BetaVAE,
VAMP and IWAE.

The config's reconstruction_loss decides p(x|z), as in Pythae's source (models/vae/vae_model.py,
loss_function and get_nll):

- mse: log N(x; decoder(z), I). Pythae's loss is half the squared distance, without the constant
  D/2 log 2 pi, which get_nll adds, as we do.
- bce: sum_i log Bernoulli(x_i; p_i), with p the decoder's output and logarithms of at least -100,
  as in torch's binary_cross_entropy. It is a density of 0 and 1 only, so grey levels are refused.

The prior of a VAMP is the mixture of the encoder's posteriors at its pseudo-inputs, with equal
weights; of the other models it is N(0, I). The training's beta or importance samples are no part of
the model: all are accounted for at beta = 1.
"""

import math
from pathlib import Path
from typing import Any

from jensen.interop._priors import PseudoInputs
from jensen.interop.torch import check_binary, evaluating, from_torch, to_array, torch
from jensen.model import Model

SUPPORTED = ("VAE", "BetaVAE", "VAMP", "IWAE")


def from_pythae(
    model_or_folder: Any,
    *,
    trust_code: bool = False,
    device: Any = None,
    dtype: str = "float32",
    batch_size: int = 2048,
) -> Model:
    """Makes a `Model` from a Pythae model, or from the folder that its trainer or `save` wrote.

    Args:
        model_or_folder: a VAE, BetaVAE, VAMP or IWAE of Pythae, or a folder for its AutoModel.
        trust_code: a folder may hold pickles (encoder.pkl, decoder.pkl, model.pt), and reading a
            pickle executes what its writer put there. A folder is read only with trust_code=True.
        device, dtype, batch_size: as of `from_torch`.

    Returns:
        A `Model`, with gradients, means and samples.

    Raises:
        ValueError: Pythae is not installed, a folder that is not trusted or cannot be read, or
            another kind of model.

        model = from_pythae("runs/VAE_training/final_model", trust_code=True)
        print(jensen.account(model, x, key=jax.random.key(0)))
    """
    try:
        import pythae.models as pythae_models  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ValueError(
            f"jensen.interop.pythae needs Pythae ({error}): pip install 'jensen[pythae]'."
        ) from error
    vae = (
        _load(Path(model_or_folder), trust_code)
        if isinstance(model_or_folder, str | Path)
        else model_or_folder
    )
    if type(vae) not in [getattr(pythae_models, name) for name in SUPPORTED]:
        raise ValueError(
            f"of Pythae's models {', '.join(SUPPORTED)} are supported; got {type(vae).__name__}, "
            "whose posterior or prior may be another. "
            "Give its parts to jensen.interop.torch.from_torch."
        )
    config = vae.model_config
    shape = tuple(int(n) for n in config.input_dim)
    loss = config.reconstruction_loss

    def encode(x: Any) -> Any:
        output = vae.encoder(x)
        return output.embedding, torch.exp(0.5 * output.log_covariance)

    def log_likelihood(x: Any, z: Any) -> Any:
        return LIKELIHOODS[loss](vae.decoder(z)["reconstruction"].flatten(1), x.flatten(1))

    prior: Any = "standard_normal"
    if type(vae).__name__ == "VAMP":
        with evaluating([vae]):
            rows = vae.pseudo_inputs(vae.idle_input.to(next(vae.parameters()).device)).reshape(
                -1, *shape
            )
        prior = PseudoInputs(to_array(rows))
    return from_torch(
        encode=encode,
        log_likelihood=log_likelihood,
        modules=[vae],
        event_shape=shape,
        latent_dim=int(config.latent_dim),
        prior=prior,
        decode=lambda z: vae.decoder(z)["reconstruction"].reshape(-1, *shape),
        sample="bernoulli" if loss == "bce" else "normal",
        device=device,
        dtype=dtype,
        batch_size=batch_size,
    )


def _bce(probabilities: Any, x: Any) -> Any:
    check_binary(x, "reconstruction_loss='bce'")
    return -torch.nn.functional.binary_cross_entropy(probabilities, x, reduction="none").sum(1)


def _mse(mean: Any, x: Any) -> Any:
    return -0.5 * (x - mean).square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)


LIKELIHOODS = {"bce": _bce, "mse": _mse}


def _load(folder: Path, trust_code: bool) -> Any:
    if not (folder / "model_config.json").is_file():
        raise ValueError(
            f"{folder} holds no model_config.json: it is no Pythae folder. Give the "
            "folder final_model, or one that model.save wrote."
        )
    if not trust_code:
        raise ValueError(
            f"{folder} may hold pickles, and reading a pickle executes what its writer put "
            "there. If you trust it, pass trust_code=True."
        )
    from pythae.models import AutoModel  # pyright: ignore[reportMissingImports]

    try:
        return AutoModel.load_from_folder(str(folder))
    except Exception as error:
        message_lines = str(error).strip().splitlines()
        raise ValueError(
            f"Pythae cannot read {folder}: {type(error).__name__}: "
            f"{message_lines[0] if message_lines else ''}"
        ) from error
