"""The reader of posteriordb's files on miniatures, and moments with known answers."""

import numpy as np
import pytest
from miniature_posteriordb import DATA, draws_of, make, write_zip

from jensen.reproductions.posteriordb._database import (
    find_database,
    labels_of,
    read_data,
    read_reference,
)
from jensen.reproductions.posteriordb._measurements import (
    Moments,
    compare_moments,
    moments,
    predicted_sd_ratio,
)

RNG = np.random.default_rng(0)
SHAPES = {"beta": (2,), "sigma": ()}
REFERENCE = "sblrc-blr"


@pytest.fixture
def drawn():
    return {"beta": RNG.normal(size=(3, 5, 2)), "sigma": RNG.random((3, 5))}


def test_draws_are_matched_by_name_whatever_their_order(tmp_path, drawn):
    place = make(tmp_path, drawn)
    chains = [dict(reversed(chain.items())) for chain in draws_of(drawn)]
    write_zip(place / "reference_posteriors" / "draws" / "draws" / "sblrc-blr.json.zip", chains)
    reference = read_reference(REFERENCE, SHAPES, str(tmp_path))
    assert list(reference) == ["beta", "sigma"]
    for name, values in drawn.items():
        np.testing.assert_array_equal(reference[name], values)
    assert read_data("sblrc", str(tmp_path)) == DATA


def test_a_matrix_is_read_by_its_two_indices(tmp_path):
    assert labels_of("L", (2, 3)) == ["L[1,1]", "L[1,2]", "L[1,3]", "L[2,1]", "L[2,2]", "L[2,3]"]
    values = RNG.normal(size=(2, 4, 2, 3))
    chains = [
        {f"L[{i + 1},{j + 1}]": values[c, :, i, j].tolist() for j in range(3) for i in range(2)}
        for c in range(2)
    ]
    place = make(tmp_path, {"sigma": np.ones((1, 1))})
    write_zip(place / "reference_posteriors" / "draws" / "draws" / "m.json.zip", chains)
    np.testing.assert_array_equal(read_reference("m", {"L": (2, 3)}, str(tmp_path))["L"], values)


def test_the_folder_is_found_in_three_forms_and_by_the_environment(tmp_path, drawn, monkeypatch):
    place = make(tmp_path, drawn)
    monkeypatch.delenv("JENSEN_DATA", raising=False)
    assert find_database(str(tmp_path)) == find_database(str(tmp_path / "posteriordb")) == place
    monkeypatch.setenv("JENSEN_DATA", str(tmp_path))
    assert find_database(None) == place
    monkeypatch.delenv("JENSEN_DATA")
    with pytest.raises(
        ValueError,
        match=r"neither --data-dir nor JENSEN_DATA .* Nothing is downloaded: get "
        r"https://github.com/stan-dev/posteriordb",
    ):
        find_database(None)
    with pytest.raises(
        ValueError, match=r"no posteriordb in .*nowhere: none of .* name DIRECTORY by --data-dir"
    ):
        find_database(str(tmp_path / "nowhere"))


def test_what_is_wrong_with_a_file_is_said(tmp_path, drawn):
    place = make(tmp_path, drawn)
    with pytest.raises(ValueError, match=r"no file .*sblr.json.zip \(did you mean 'sblrc'\?\)"):
        read_data("sblr", str(tmp_path))
    with pytest.raises(ValueError, match=r"has no draws of beta\[3\]"):
        read_reference(REFERENCE, {"beta": (3,), "sigma": ()}, str(tmp_path))
    with pytest.raises(ValueError, match=r"has draws of sigma, which the model does not have"):
        read_reference(REFERENCE, {"beta": (2,)}, str(tmp_path))
    path = place / "reference_posteriors" / "draws" / "draws" / "sblrc-blr.json.zip"
    chains = draws_of(drawn)
    chains[1]["sigma"].pop()
    write_zip(path, chains)
    with pytest.raises(ValueError, match="the chains have 4, 5 draws"):
        read_reference(REFERENCE, SHAPES, str(tmp_path))
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ValueError, match=r"is no complete zip file with sblrc-blr.json in it"):
        read_reference(REFERENCE, SHAPES, str(tmp_path))
    write_zip(place / "data" / "data" / "sblrc.json.zip", [1, 2])
    with pytest.raises(ValueError, match="the data 'sblrc' are a list, not variables by name"):
        read_data("sblrc", str(tmp_path))


def test_the_predicted_ratio_is_that_of_a_normal_with_known_precision():
    rho = 0.9
    factor = np.linalg.cholesky([[1, rho, 0], [rho, 1, 0], [0, 0, 1]])
    # Draws whose sample covariance is exactly this, in units that have nothing to do with each
    # other.
    noise = RNG.normal(size=(500, 3))
    noise = (noise - noise.mean(axis=0)) @ np.linalg.inv(
        np.linalg.cholesky(np.cov(noise, rowvar=False))
    ).T
    draws = noise @ factor.T * np.array([1e-6, 1.0, 1e6]) + 5
    # 1 / sqrt(S_jj (S^-1)_jj) = sqrt(1 - rho^2) for the pair.
    np.testing.assert_allclose(
        predicted_sd_ratio(draws), [np.sqrt(1 - rho**2), np.sqrt(1 - rho**2), 1], rtol=1e-7
    )
    np.testing.assert_allclose(predicted_sd_ratio(draws[:, :1]), [1], rtol=1e-12)
    with pytest.raises(ValueError, match="3 draws of 3 elements have no invertible covariance"):
        predicted_sd_ratio(draws[:3])
    with pytest.raises(ValueError, match="the 3 elements are linearly dependent"):
        predicted_sd_ratio(np.stack([noise[:, 0], noise[:, 1], noise[:, 0] + noise[:, 1]], axis=1))


def test_agreement_is_in_units_of_the_reference():
    reference = {"beta": RNG.normal(size=(4, 50, 2)) * [1, 10] + 3, "sigma": RNG.random((4, 50))}
    flat = {k: v.reshape(200, *v.shape[2:]) for k, v in reference.items()}
    mean, sd = (
        {k: f(v, axis=0) for k, v in flat.items()}
        for f in (np.mean, lambda v, axis: np.std(v, axis=axis, ddof=1))
    )
    exact = compare_moments(Moments(mean, sd), reference)
    assert (
        exact.largest_mean_error < 1e-12
        and exact.passes
        and exact.labels == ("beta[1]", "beta[2]", "sigma")
    )
    np.testing.assert_allclose(exact.sd_ratios, 1)
    shifted = mean | {"beta": mean["beta"] - [0, 0.06 * sd["beta"][1]]}
    moved = compare_moments(Moments(shifted, sd), reference)
    np.testing.assert_allclose(moved.mean_errors, [0, -0.06, 0], atol=1e-12)
    assert not moved.passes
    for factor, passes in ((0.94, False), (0.96, True)):
        scaled = Moments(mean, sd | {"sigma": factor * sd["sigma"]})
        assert compare_moments(scaled, reference).passes is passes
    with pytest.raises(
        ValueError,
        match=r"the reference has sigma of shape \(\), which is missing in the approximation "
        r"\(beta\)",
    ):
        compare_moments(Moments({"beta": mean["beta"]}, sd), reference)


def test_reweighted_moments_are_those_of_draws_that_occur_as_often_as_they_weigh():
    draws, counts = (
        {"beta": RNG.normal(size=(6, 2)), "sigma": RNG.random(6)},
        np.array([1, 4, 0, 2, 2, 1]),
    )
    mean, sd = moments(draws, counts / counts.sum())
    plain_mean, plain_sd = moments(draws)
    for name, values in draws.items():
        repeated = np.repeat(values, counts, axis=0)
        np.testing.assert_allclose(mean[name], repeated.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(sd[name], repeated.std(axis=0), rtol=1e-12)
        np.testing.assert_allclose(
            (plain_mean[name], plain_sd[name]),
            (values.mean(axis=0), values.std(axis=0, ddof=1)),
            rtol=1e-12,
        )
