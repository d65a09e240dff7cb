"""The page of a model whose codes are discrete."""

import jax
import numpy as np
import pytest
from _worlds import inputs_of

from jensen.datasets import Dataset
from jensen.models.vae import vae
from jensen.reports import write_report


@pytest.mark.parametrize("encoder", ["diagonal_normal", "bernoulli"])
def test_a_report_walks_through_continuous_codes_only_and_says_so(encoder, tmp_path):
    prior = "standard_normal" if encoder == "diagonal_normal" else encoder
    model = vae(
        (3,),
        latent_dim=4,
        prior=prior,
        encoder=encoder,
        network={"name": "dense", "hidden": (5,)},
        key=jax.random.key(0),
    )
    rows = np.random.default_rng(0).integers(0, 2, (80, 3)).astype(np.uint8)
    page = write_report(
        inputs_of(dataset=Dataset("bits", rows[:40], rows[:0], rows[40:]), model=model), tmp_path
    ).read_text()
    assert (tmp_path / "figures" / "traversals.svg").exists() == (encoder == "diagonal_normal")
    assert ("no walk is shown" in page) == (encoder == "bernoulli")
    assert ("most probable code" in page) == (encoder == "bernoulli")
