import jax
import numpy as np
import pytest
from _worlds import account_of, echo_data, echo_model, inputs_of

import jensen.reports._report as report
from jensen.generation import prior_samples
from jensen.reports._probes import STEPS, decode, encode, traverse
from jensen.reports._rows import median_datum
from jensen.reports._style import styled
from jensen.reports._vectors import Vectors


@pytest.mark.parametrize("n", [1, 7, 1100])
def test_codes_are_those_of_every_datum_in_order(n):
    data = echo_data((2, 2), n).test
    assert np.allclose(encode(echo_model((2, 2)), data), data.reshape(n, 4))


def test_a_traversal_walks_between_the_quantiles_of_the_most_active_dimensions():
    data = echo_data((10,), 200).test * np.arange(1, 11, dtype=np.float32)
    model = echo_model((10,))
    walk = traverse(model, encode(model, data), 5)
    assert walk.dimensions.tolist() == np.argsort(-data.var(axis=0))[:8].tolist()
    for row, dimension in enumerate(walk.dimensions):
        low, high = np.quantile(data[:, dimension].astype(float), [0.02, 0.98])
        assert np.allclose(walk.positions[row], np.linspace(low, high, STEPS), rtol=1e-6)
        assert walk.spread[row] == pytest.approx(data[:, dimension].std(), rel=1e-5)
        # The decoder echoes the code: only the walked coordinate moves, and all others are those of
        # datum 5.
        assert np.allclose(walk.means[row, :, dimension], walk.positions[row], rtol=1e-5)
        assert np.allclose(
            np.delete(walk.means[row], dimension, axis=1), np.delete(data[5], dimension)
        )


def test_samples_come_from_the_model_s_own_prior(monkeypatch):
    model, seen = echo_model((3,), prior_centre=100.0), {}
    z = prior_samples(model, 200, key=jax.random.key(0))["z"]
    assert np.abs(z.mean(axis=0) - 100).max() < 5 / np.sqrt(200)
    assert np.allclose(decode(model, z), z)
    draw = Vectors.samples
    monkeypatch.setattr(
        Vectors,
        "samples",
        lambda self, means, layout: seen.update(means=means) or draw(self, means, layout),
    )
    inputs = inputs_of((3,), model=model)
    with styled():
        report.page_context(inputs, *report.main_account(inputs))
    assert np.abs(seen["means"].mean(axis=0) - 100).max() < 5 / np.sqrt(len(seen["means"]))


def test_the_walk_starts_at_the_datum_of_median_evidence():
    account = account_of(11)
    values = account.evidence.per_datum
    assert values[median_datum(account)] == np.median(values)
