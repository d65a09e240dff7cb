"""The posteriors of posteriordb.

Every log density against the Stan program written out in SciPy, and the expected score at the
reference draws.
"""

import json
import math
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from numpyro.infer import util
from scipy import special, stats

from jensen.reproductions.posteriordb._database import read_data, read_reference
from jensen.reproductions.posteriordb._measurements import predicted_sd_ratio
from jensen.reproductions.posteriordb._posteriors import POSTERIORS, load
from jensen.reproductions.posteriordb._unconstrained_density import UnconstrainedDensity

FOLDER = Path(os.environ.get("JENSEN_DATA") or Path(__file__).parents[3] / "shared" / "data")
pytestmark = pytest.mark.skipif(
    not (FOLDER / "posteriordb").is_dir(),
    reason="posteriordb is not there: set JENSEN_DATA to the folder that holds it",
)
DATA = str(FOLDER)
NAMES = tuple(POSTERIORS)
WITH_DRAWS = tuple(n for n in NAMES if n not in ("surgical_model", "wells_dist"))
normal = stats.norm.logpdf


# The Stan programs, line by line, each distribution with its constants and no truncation: log
# density at one value of the parameters.


def ark(d, alpha, beta, sigma):
    total = normal(alpha, 0, 10) + normal(beta, 0, 10).sum() + stats.cauchy.logpdf(sigma, 0, 2.5)
    for t in range(d["K"] + 1, d["T"] + 1):  # 1-based, as there
        mu = alpha
        for k in range(1, d["K"] + 1):
            mu = mu + beta[k - 1] * d["y"][t - k - 1]
        total += normal(d["y"][t - 1], mu, sigma)
    return total


def blr(d, beta, sigma):
    return (
        normal(beta, 0, 10).sum()
        + normal(sigma, 0, 10)
        + normal(d["y"], np.array(d["X"]) @ beta, sigma).sum()
    )


def eight_schools_centered(d, theta, mu, tau):
    return (
        stats.cauchy.logpdf(tau, 0, 5)
        + normal(theta, mu, tau).sum()
        + normal(d["y"], theta, d["sigma"]).sum()
        + normal(mu, 0, 5)
    )


def eight_schools_noncentered(d, theta, mu, tau):
    theta_trans = (theta - mu) / tau
    return (
        normal(theta_trans).sum()
        + normal(d["y"], theta, d["sigma"]).sum()
        + normal(mu, 0, 5)
        + stats.cauchy.logpdf(tau, 0, 5)
    )


def garch11(d, mu, alpha0, alpha1, beta1):
    sigma = [d["sigma1"]]
    for t in range(1, d["T"]):
        sigma.append(
            math.sqrt(alpha0 + alpha1 * (d["y"][t - 1] - mu) ** 2 + beta1 * sigma[t - 1] ** 2)
        )
    return normal(d["y"], mu, sigma).sum()


def kidscore_momiq(d, beta, sigma):
    return (
        stats.cauchy.logpdf(sigma, 0, 2.5)
        + normal(d["kid_score"], beta[0] + beta[1] * np.array(d["mom_iq"]), sigma).sum()
    )


def logearn_interaction(d, beta, sigma):
    height, male = np.array(d["height"]), np.array(d["male"])
    return normal(
        np.log(d["earn"]),
        beta[0] + beta[1] * height + beta[2] * male + beta[3] * height * male,
        sigma,
    ).sum()


def logmesquite_logvas(d, beta, sigma):
    d = {k: np.array(v, float) for k, v in d.items()}
    mean = (
        beta[0]
        + beta[1] * np.log(d["diam1"] * d["diam2"] * d["canopy_height"])
        + beta[2] * np.log(d["diam1"] * d["diam2"])
    )
    mean = (
        mean
        + beta[3] * np.log(d["diam1"] / d["diam2"])
        + beta[4] * np.log(d["total_height"])
        + beta[5] * np.log(d["density"])
        + beta[6] * d["group"]
    )
    return normal(np.log(d["weight"]), mean, sigma).sum()


def low_dim_gauss_mix(d, mu, sigma, theta):
    total = normal(sigma, 0, 2).sum() + normal(mu, 0, 2).sum() + stats.beta.logpdf(theta, 5, 5)
    for y in d["y"]:
        total += np.log(
            theta * stats.norm.pdf(y, mu[0], sigma[0])
            + (1 - theta) * stats.norm.pdf(y, mu[1], sigma[1])
        )
    return total


def nes(d, beta, sigma):
    d = {k: np.array(v) for k, v in d.items()}
    mean = (
        beta[0]
        + beta[1] * d["real_ideo"]
        + beta[2] * d["race_adj"]
        + beta[6] * d["educ1"]
        + beta[7] * d["gender"]
        + beta[8] * d["income"]
    )
    for group, coefficient in ((2, beta[3]), (3, beta[4]), (4, beta[5])):
        mean = mean + coefficient * (d["age_discrete"] == group)
    return normal(d["partyid7"], mean, sigma).sum()


def surgical_model(d, mu, sigmasq, b):
    binomial = stats.binom.logpmf(d["r"], d["n"], special.expit(b)).sum()
    return (
        normal(mu, 0, 1000)
        + stats.invgamma.logpdf(sigmasq, 0.001, scale=0.001)
        + normal(b, mu, math.sqrt(sigmasq)).sum()
        + binomial
    )


def wells_dist(d, beta):
    return stats.bernoulli.logpmf(
        d["switched"], special.expit(beta[0] + beta[1] * np.array(d["dist"]))
    ).sum()


STAN = {"arK": ark} | {n: f for n, f in globals().items() if n in NAMES}
# Where there are no reference draws: three points of the parameter space.
POINTS = {
    "surgical_model": [
        {"mu": m, "sigmasq": s, "b": np.linspace(low, high, 12)}
        for m, s, low, high in ((-2.5, 0.2, -3, -2), (-2.0, 1.3, -4, -1), (0.3, 0.05, -2.7, -2.4))
    ],
    "wells_dist": [{"beta": np.array(b)} for b in ((0.6, -0.006), (0.0, 0.0), (-1.0, 0.01))],
}
# log of what the Stan program's density lacks: half-lines, the order of two means, the triangle of
# a GARCH; by hand, from the programs.
OFFSETS = dict.fromkeys(NAMES, 0.0) | dict.fromkeys(
    ("arK", "blr", "eight_schools_centered", "eight_schools_noncentered", "kidscore_momiq"),
    -math.log(2),
)
OFFSETS |= {"garch11": -math.log(2), "low_dim_gauss_mix": -3 * math.log(2)}


@pytest.fixture(scope="module")
def reference():
    def read(posterior):
        return {
            k: v.reshape(-1, *v.shape[2:])
            for k, v in read_reference(posterior.reference_name, posterior.shapes, DATA).items()
        }

    return read


@pytest.mark.parametrize("name", NAMES)
def test_the_log_density_is_the_stan_programs(name, reference, x64):
    posterior = load(name, data_dir=DATA)
    data = read_data(posterior.data_name, DATA)
    if posterior.reference_name is None:
        points = POINTS[name]
    else:
        draws = reference(posterior)
        points = [{k: v[i] for k, v in draws.items()} for i in (17, 4711, 9000)]
    ours, theirs = [], []
    for point in points:
        sites = posterior.coordinates.to_sites({k: np.asarray(v) for k, v in point.items()})
        value = float(util.log_density(posterior.model, posterior.arguments, {}, sites)[0])
        # Densities of other parameters differ by the Jacobian: of theta -> theta_trans, tau^8, and
        # of beta1 -> share.
        if name == "garch11":
            value -= math.log(1 - point["alpha1"])
        ours.append(value)
        theirs.append(float(STAN[name](data, **point)))
    np.testing.assert_allclose(np.diff(ours), np.diff(theirs), rtol=0, atol=1e-8)
    assert np.ptp(theirs) > 0.1  # three points that differ
    assert posterior.stan_offset == pytest.approx(OFFSETS[name], abs=1e-12)
    np.testing.assert_allclose(np.asarray(theirs) - ours, posterior.stan_offset, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", WITH_DRAWS)
def test_the_mean_score_is_zero_at_the_reference_draws(name, reference):
    posterior = load(name, data_dir=DATA)
    density = UnconstrainedDensity(posterior)
    draws = reference(posterior)
    points = density.unconstrain(draws)
    back = density.constrain(points)
    for parameter, values in draws.items():
        np.testing.assert_allclose(back[parameter], values, rtol=1e-9, atol=1e-9)
    # Batches of 100 draws within a chain: what is left of autocorrelation lies within them.
    batches = density.gradient(points).reshape(100, 100, -1).mean(axis=1)
    errors = batches.std(axis=0, ddof=1) / math.sqrt(len(batches))
    assert points.shape == (10_000, density.size) and np.all(errors > 0)
    assert np.all(np.abs(batches.mean(axis=0)) < 4 * errors)


def test_a_missing_jacobian_would_be_seen_and_the_sign_is_that_of_a_log_density(reference):
    """What the test above rests on, and numpyro's potential energy, whose sign is the other one."""
    posterior = load("eight_schools_centered", data_dir=DATA)
    density = UnconstrainedDensity(posterior)
    points = density.unconstrain(reference(posterior))
    tau = density.sites.index("tau")  # mu, tau, theta: both before it are numbers
    step = np.zeros((1, density.size))
    step[0, tau] = 1e-5
    slope = (density.log_density(points[:1] + step) - density.log_density(points[:1] - step))[
        0
    ] / 2e-5
    scores = density.gradient(points)[:, tau]
    assert scores[0] == pytest.approx(slope, rel=1e-6)
    # d log |d tau / du| / du = 1: without it the mean score would be -1.
    assert abs(scores.mean()) < 4 * scores.std(ddof=1) / 100 < 0.25
    far = {k: np.full((1, *v.shape[1:]), 1e3) for k, v in reference(posterior).items()}
    assert density.log_density(density.unconstrain(far))[0] < density.log_density(points[:1])[0]


def test_the_smallest_sd_ratio_of_mean_field_is_predicted_as_computed_before(reference):
    for name, expected in (
        ("blr", 0.478),
        ("kidscore_momiq", 0.146),
        ("logearn_interaction", 0.029),
        ("arK", 0.228),
    ):
        posterior = load(name, data_dir=DATA)
        draws = reference(posterior)
        elements = np.concatenate([v.reshape(len(v), -1) for v in draws.values()], axis=1)
        points = UnconstrainedDensity(posterior).unconstrain(draws)
        for matrix in (elements, points):
            assert predicted_sd_ratio(matrix).min() == pytest.approx(expected, abs=5e-4)


def test_names_and_shapes_are_those_of_the_reference_and_flat_priors_are_marked():
    improper = set()
    for name in NAMES:
        posterior = load(name, data_dir=DATA)
        info = json.loads(
            (
                FOLDER
                / "posteriordb"
                / "posterior_database"
                / "posteriors"
                / f"{posterior.name}.json"
            ).read_text()
        )
        assert (info["data_name"], info["model_name"], info["reference_posterior_name"]) == (
            posterior.data_name,
            name,
            posterior.reference_name,
        )
        for parameter, shape in posterior.shapes.items():
            assert info["dimensions"][parameter] == math.prod(shape)
        if posterior.reference_name:
            draws = read_reference(posterior.reference_name, posterior.shapes, DATA)
            assert {k: v.shape for k, v in draws.items()} == {
                k: (10, 1000, *s) for k, s in posterior.shapes.items()
            }
            assert list(info["dimensions"]) == list(posterior.shapes)
        if not posterior.proper:
            improper.add(name)
    assert improper == {
        "garch11",
        "kidscore_momiq",
        "logearn_interaction",
        "logmesquite_logvas",
        "nes",
        "wells_dist",
    }


def test_the_prior_of_ordered_means_is_normalised_and_drawn():
    from jensen.reproductions.posteriordb._posteriors import _TwoOrderedNormals

    with jax.enable_x64(True):
        prior = _TwoOrderedNormals(2.0)
        grid = np.linspace(-16, 16, 801)
        a, b = np.meshgrid(grid, grid, indexing="ij")
        density = np.exp(np.asarray(prior.log_prob(np.stack([a, b], -1)))) * np.where(
            a < b, 1.0, np.where(a == b, 0.5, 0.0)
        )
        assert density.sum() * (grid[1] - grid[0]) ** 2 == pytest.approx(1, abs=1e-6)
        draws = np.asarray(prior.sample(jax.random.key(0), (40_000,)))
    # The smaller of two standard normals has mean -1/sqrt(pi) and variance 1 - 1/pi.
    assert np.all(draws[:, 0] <= draws[:, 1])
    assert abs(draws[:, 0].mean() + 2 / math.sqrt(math.pi)) < 4 * 2 * math.sqrt(
        (1 - 1 / math.pi) / 40_000
    )
