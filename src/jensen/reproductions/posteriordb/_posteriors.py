"""Twelve posteriors of posteriordb (Magnusson et al. 2024) as NumPyro models.

Each is called as its Stan program is, and is meant to be read beside it:

    posterior = load("blr", data_dir="~/data")
    parameters = {"beta": jnp.zeros(5), "sigma": 1.0}
    numpyro.infer.util.log_density(posterior.model, posterior.arguments, {}, parameters)
"""

import abc
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist

from jensen._rooms import nearest
from jensen.distributions._numpyro_base import Distribution
from jensen.reproductions.posteriordb._database import read_data

Values = dict[str, Any]


def _unchanged(values: Values) -> Values:
    return values


@dataclass(frozen=True)
class Coordinates:
    """Maps between the model's sites and the parameters that posteriordb has draws of.

    Values may have leading axes.

    Attributes:
        to_named: values of all sites -> values of the named parameters.
        to_sites: its inverse.
    """

    to_named: Callable[[Values], Values] = _unchanged
    to_sites: Callable[[Values], Values] = _unchanged


class AbstractPosterior(abc.ABC):
    """A posterior: `numpyro.infer` takes it as `posterior.model` and `posterior.arguments`.

    The density is that of the Stan program with the constants that `~` drops (as for
    `target += ..._lpdf`), but priors are normalised on the half-line, the ordered set or the
    triangle on which the parameter lives; `stan_offset` is the difference.

    Attributes:
        name: of the posterior in posteriordb, data and program.
        data_name: of its data there.
        reference_name: of its reference draws there; None where there are none.
        proper: False for flat priors: the evidence is then undefined.
        stan_offset: log density of the Stan program, with its constants, less ours. Added to our
            evidence, it gives that of Stan's density.
        shapes: the named parameters in Stan's order, each with its shape.
        coordinates: maps between the named parameters and the sites.
        arguments: of `model`.
    """

    name: ClassVar[str]
    data_name: ClassVar[str]
    reference_name: ClassVar[str | None]
    proper: ClassVar[bool]
    stan_offset: ClassVar[float]
    coordinates: ClassVar[Coordinates] = Coordinates()
    shapes: Mapping[str, tuple[int, ...]]
    arguments: tuple[Any, ...]

    @staticmethod
    @abc.abstractmethod
    def model(*args: Any, **kwargs: Any) -> None:
        """The NumPyro model; each posterior has its own arguments."""


class BLR(AbstractPosterior):
    """Bayesian linear regression on five covariates (blr.stan).

    beta_d ~ N(0, 10), sigma ~ HalfNormal(10), y ~ N(X beta, sigma).
    """

    name = "sblrc-blr"
    data_name = "sblrc"
    reference_name = "sblrc-blr"
    proper = True
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _column(data, "X"), _column(data, "y")
        self.shapes = {"beta": (self.arguments[0].shape[1],), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        beta = numpyro.sample(
            "beta", dist.Normal(0.0, 10.0).expand([covariates.shape[1]]).to_event(1)
        )
        sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
        numpyro.sample("y", dist.Normal(covariates @ beta, sigma).to_event(1), obs=y)


class KidscoreMomIQ(AbstractPosterior):
    """A child's test score on its mother's IQ (kidscore_momiq.stan).

    beta flat, sigma ~ HalfCauchy(2.5), kid_score ~ N(beta_1 + beta_2 mom_iq, sigma).
    """

    name = "kidiq-kidscore_momiq"
    data_name = "kidiq"
    reference_name = "kidiq-kidscore_momiq"
    proper = False
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _with_constant(_column(data, "mom_iq")), _column(data, "kid_score")
        self.shapes = {"beta": (2,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        _regression(covariates, y, dist.HalfCauchy(2.5))


class LogEarningsInteraction(AbstractPosterior):
    """Log earnings on height, sex and their product (logearn_interaction.stan).

    beta and sigma flat, log earn ~ N(beta_1 + beta_2 height + beta_3 male + beta_4 height male,
    sigma).
    """

    name = "earnings-logearn_interaction"
    data_name = "earnings"
    reference_name = "earnings-logearn_interaction"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        height, male = _column(data, "height"), _column(data, "male")
        self.arguments = _with_constant(height, male, height * male), np.log(_column(data, "earn"))
        self.shapes = {"beta": (4,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        _regression(covariates, y, _flat_scale())


class LogMesquiteVolumeAreaShape(AbstractPosterior):
    """The log weight of mesquite bushes on their log measures (logmesquite_logvas.stan).

    beta and sigma flat. The covariates are log canopy volume, area and shape, log total height,
    log density and group.
    """

    name = "mesquite-logmesquite_logvas"
    data_name = "mesquite"
    reference_name = "mesquite-logmesquite_logvas"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        diam1, diam2, canopy, total, density = (
            np.log(_column(data, k))
            for k in ("diam1", "diam2", "canopy_height", "total_height", "density")
        )
        covariates = _with_constant(
            diam1 + diam2 + canopy,
            diam1 + diam2,
            diam1 - diam2,
            total,
            density,
            _column(data, "group"),
        )
        self.arguments = covariates, np.log(_column(data, "weight"))
        self.shapes = {"beta": (7,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        _regression(covariates, y, _flat_scale())


class NES(AbstractPosterior):
    """Party identification in the National Election Study of 1972 (nes.stan).

    beta and sigma flat. The covariates of partyid7 are ideology, race, three age groups (the
    first is the base), education, gender and income.
    """

    name = "nes1972-nes"
    data_name = "nes1972"
    reference_name = "nes1972-nes"
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        age = _column(data, "age_discrete")
        groups = [(age == group).astype(float) for group in (2, 3, 4)]
        before, after = ("real_ideo", "race_adj"), ("educ1", "gender", "income")
        covariates = _with_constant(
            *(_column(data, k) for k in before), *groups, *(_column(data, k) for k in after)
        )
        self.arguments = covariates, _column(data, "partyid7")
        self.shapes = {"beta": (9,), "sigma": ()}

    @staticmethod
    def model(covariates, y):
        _regression(covariates, y, _flat_scale())


class WellsDistance(AbstractPosterior):
    """Whether a household changes to another well, on the distance to it (wells_dist.stan).

    beta flat, switched ~ Bernoulli(sigmoid(beta_1 + beta_2 dist)). It has no reference draws.
    """

    name = "wells_data-wells_dist"
    data_name = "wells_data"
    reference_name = None
    proper = False
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _with_constant(_column(data, "dist")), _column(data, "switched")
        self.shapes = {"beta": (2,)}

    @staticmethod
    def model(covariates, switched):
        beta = numpyro.sample("beta", dist.ImproperUniform(dist.constraints.real_vector, (), (2,)))
        numpyro.sample(
            "switched", dist.BernoulliLogits(covariates @ beta).to_event(1), obs=switched
        )


class AR(AbstractPosterior):
    """An autoregression of order K (arK.stan).

    alpha, beta_k ~ N(0, 10), sigma ~ HalfCauchy(2.5),
    y_t ~ N(alpha + sum_k beta_k y_{t-k}, sigma) from t = K + 1 on.
    """

    name = "arK-arK"
    data_name = "arK"
    reference_name = "arK-arK"
    proper = True
    stan_offset = -math.log(2)  # sigma

    def __init__(self, data: Mapping[str, Any]):
        y, order = _column(data, "y"), int(data["K"])
        # Column k - 1 holds y[t - k], t = K + 1, ..., T.
        lagged = np.stack([y[order - k : len(y) - k] for k in range(1, order + 1)], axis=1)
        self.arguments = lagged, y[order:]
        self.shapes = {"alpha": (), "beta": (order,), "sigma": ()}

    @staticmethod
    def model(lagged, y):
        alpha = numpyro.sample("alpha", dist.Normal(0.0, 10.0))
        beta = numpyro.sample("beta", dist.Normal(0.0, 10.0).expand([lagged.shape[1]]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
        numpyro.sample("y", dist.Normal(alpha + lagged @ beta, sigma).to_event(1), obs=y)


class EightSchoolsCentered(AbstractPosterior):
    """Eight schools, the effects themselves as parameters (eight_schools_centered.stan).

    mu ~ N(0, 5), tau ~ HalfCauchy(5), theta_j ~ N(mu, tau), y_j ~ N(theta_j, sigma_j). Its
    reference draws are those of the non-centred program.
    """

    name = "eight_schools-eight_schools_centered"
    data_name = "eight_schools"
    reference_name = "eight_schools-eight_schools_noncentered"
    proper = True
    stan_offset = -math.log(2)  # tau

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _column(data, "y"), _column(data, "sigma")
        self.shapes = {"theta": (len(self.arguments[0]),), "mu": (), "tau": ()}

    @staticmethod
    def model(y, sigma):
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([len(y)]).to_event(1))
        numpyro.sample("y", dist.Normal(theta, sigma).to_event(1), obs=y)


def _schools_to_named(sites: Values) -> Values:
    return {
        "theta": sites["theta_trans"] * sites["tau"][..., None] + sites["mu"][..., None],
        "mu": sites["mu"],
        "tau": sites["tau"],
    }


def _schools_to_sites(named: Values) -> Values:
    return {
        "theta_trans": (named["theta"] - named["mu"][..., None]) / named["tau"][..., None],
        "mu": named["mu"],
        "tau": named["tau"],
    }


class EightSchoolsNoncentered(AbstractPosterior):
    """Eight schools, the effects in units of tau (eight_schools_noncentered.stan).

    theta_j = mu + tau theta_trans_j with theta_trans_j ~ N(0, 1); otherwise as the centred one.
    Its reference draws have theta, not theta_trans.
    """

    name = "eight_schools-eight_schools_noncentered"
    data_name = "eight_schools"
    reference_name = "eight_schools-eight_schools_noncentered"
    proper = True
    stan_offset = -math.log(2)  # tau
    coordinates = Coordinates(_schools_to_named, _schools_to_sites)

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _column(data, "y"), _column(data, "sigma")
        self.shapes = {"theta": (len(self.arguments[0]),), "mu": (), "tau": ()}

    @staticmethod
    def model(y, sigma):
        theta_trans = numpyro.sample(
            "theta_trans", dist.Normal(0.0, 1.0).expand([len(y)]).to_event(1)
        )
        mu = numpyro.sample("mu", dist.Normal(0.0, 5.0))
        tau = numpyro.sample("tau", dist.HalfCauchy(5.0))
        numpyro.sample("y", dist.Normal(theta_trans * tau + mu, sigma).to_event(1), obs=y)


class Surgical(AbstractPosterior):
    """Deaths in twelve hospitals after heart surgery on babies (surgical_model.stan).

    mu ~ N(0, 1000), sigmasq ~ InverseGamma(.001, .001), b_i ~ N(mu, sqrt(sigmasq)),
    r_i ~ Binomial(n_i, sigmoid(b_i)). It has no reference draws. The program's further quantities
    (sigma, p and pop_mean) are functions of these, and left out.
    """

    name = "surgical_data-surgical_model"
    data_name = "surgical_data"
    reference_name = None
    proper = True
    stan_offset = 0.0

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = np.asarray(data["n"]), np.asarray(data["r"])
        self.shapes = {"mu": (), "sigmasq": (), "b": (len(self.arguments[0]),)}

    @staticmethod
    def model(n, r):
        mu = numpyro.sample("mu", dist.Normal(0.0, 1000.0))
        sigmasq = numpyro.sample("sigmasq", dist.InverseGamma(0.001, 0.001))
        b = numpyro.sample("b", dist.Normal(mu, jnp.sqrt(sigmasq)).expand([len(n)]).to_event(1))
        numpyro.sample("r", dist.Binomial(total_count=n, logits=b).to_event(1), obs=r)


def _garch_to_named(sites: Values) -> Values:
    return {
        **{k: sites[k] for k in ("mu", "alpha0", "alpha1")},
        "beta1": sites["share"] * (1 - sites["alpha1"]),
    }


def _garch_to_sites(named: Values) -> Values:
    return {
        **{k: named[k] for k in ("mu", "alpha0", "alpha1")},
        "share": named["beta1"] / (1 - named["alpha1"]),
    }


class GARCH(AbstractPosterior):
    """Volatility that follows yesterday's surprise, GARCH(1, 1) (garch11.stan).

    sigma_t^2 = alpha0 + alpha1 (y_{t-1} - mu)^2 + beta1 sigma_{t-1}^2, y_t ~ N(mu, sigma_t); mu
    and alpha0 > 0 flat.

    (alpha1, beta1) is uniform on the triangle alpha1, beta1 > 0, alpha1 + beta1 < 1: alpha1 ~
    Beta(1, 2), of density 2 (1 - alpha1), and beta1 uniform below 1 - alpha1. The support of
    beta1 would depend on alpha1, so the site is share = beta1 / (1 - alpha1): on the
    unconstrained space, logit(share), this is the same as Stan's.
    """

    name = "garch-garch11"
    data_name = "garch"
    reference_name = "garch-garch11"
    proper = False
    stan_offset = -math.log(2)  # the triangle's area is 1/2
    coordinates = Coordinates(_garch_to_named, _garch_to_sites)

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = _column(data, "y"), float(data["sigma1"])
        self.shapes = {"mu": (), "alpha0": (), "alpha1": (), "beta1": ()}

    @staticmethod
    def model(y, first_sigma):
        mu = numpyro.sample("mu", dist.ImproperUniform(dist.constraints.real, (), ()))
        alpha0 = numpyro.sample("alpha0", dist.ImproperUniform(dist.constraints.positive, (), ()))
        alpha1 = numpyro.sample("alpha1", dist.Beta(1.0, 2.0))
        beta1 = numpyro.sample("share", dist.Uniform(0.0, 1.0)) * (1 - alpha1)

        def step(variance, y_before):
            variance = alpha0 + alpha1 * (y_before - mu) ** 2 + beta1 * variance
            return variance, variance

        first = jnp.full_like(mu, first_sigma**2)
        _, later = jax.lax.scan(step, first, jnp.asarray(y[:-1]))
        sigma = jnp.sqrt(jnp.concatenate([first[None], later]))
        numpyro.sample("y", dist.Normal(mu, sigma).to_event(1), obs=y)


class _TwoOrderedNormals(Distribution):
    """Two draws of N(0, scale), the smaller first: density 2 N(a) N(b) on a < b."""

    arg_constraints = {"scale": dist.constraints.positive}  # noqa: RUF012
    support = dist.constraints.ordered_vector  # pyright: ignore
    pytree_data_fields = ("scale",)

    def __init__(self, scale: float, *, validate_args: bool | None = None):
        self.scale = scale
        super().__init__(batch_shape=(), event_shape=(2,), validate_args=validate_args)

    def sample(self, key: Any, sample_shape: tuple[int, ...] = ()) -> Any:
        return jnp.sort(self.scale * jax.random.normal(key, (*sample_shape, 2)))

    def log_prob(self, value: Any) -> Any:
        return math.log(2) + dist.Normal(0.0, self.scale).log_prob(value).sum(-1)


class LowDimGaussMix(AbstractPosterior):
    """A mixture of two normals, told apart by the order of their means (low_dim_gauss_mix.stan).

    mu_1 < mu_2 of N(0, 2), sigma_k ~ HalfNormal(2), theta ~ Beta(5, 5),
    y_n ~ theta N(mu_1, sigma_1) + (1 - theta) N(mu_2, sigma_2).
    """

    name = "low_dim_gauss_mix-low_dim_gauss_mix"
    data_name = "low_dim_gauss_mix"
    reference_name = "low_dim_gauss_mix-low_dim_gauss_mix"
    proper = True
    stan_offset = -3 * math.log(2)  # two scales and the order of the means

    def __init__(self, data: Mapping[str, Any]):
        self.arguments = (_column(data, "y"),)
        self.shapes = {"mu": (2,), "sigma": (2,), "theta": ()}

    @staticmethod
    def model(y):
        mu = numpyro.sample("mu", _TwoOrderedNormals(2.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0).expand([2]).to_event(1))
        theta = numpyro.sample("theta", dist.Beta(5.0, 5.0))
        weights = jnp.stack([theta, 1 - jnp.asarray(theta)])
        components = dist.Normal(mu, sigma)
        numpyro.sample("y", dist.MixtureSameFamily(dist.Categorical(weights), components), obs=y)


POSTERIORS: dict[str, type[AbstractPosterior]] = {
    posterior.name.rpartition("-")[2]: posterior
    for posterior in (
        AR,
        BLR,
        EightSchoolsCentered,
        EightSchoolsNoncentered,
        GARCH,
        KidscoreMomIQ,
        LogEarningsInteraction,
        LogMesquiteVolumeAreaShape,
        LowDimGaussMix,
        NES,
        Surgical,
        WellsDistance,
    )
}


def load(name: str, *, data_dir: str | None = None) -> AbstractPosterior:
    """Returns the posterior called `name` with its data.

    Args:
        name: of the Stan program, 'blr', or in full, 'sblrc-blr'.
        data_dir: the folder that holds posteriordb; None: JENSEN_DATA.

    Raises:
        ValueError: an unknown name, or data that are not there.

        load("sblrc-blr", data_dir="~/data").proper  # True
    """
    posterior: Any = POSTERIORS[program_of(name)]
    return posterior(read_data(posterior.data_name, data_dir))


def program_of(name: str) -> str:
    """Returns the Stan program of a posterior; posteriordb names data and program.

    Raises:
        ValueError: an unknown name; the message offers the nearest one.

        program_of("sblrc-blr")  # 'blr'
    """
    program = name.rpartition("-")[2]
    if program not in POSTERIORS:
        raise ValueError(
            f"unknown posterior {program!r}{nearest(program, tuple(POSTERIORS))}; "
            f"known: {', '.join(POSTERIORS)}."
        )
    if name not in (program, POSTERIORS[program].name):
        raise ValueError(
            f"unknown posterior {name!r} (did you mean {POSTERIORS[program].name!r}?)."
        )
    return program


def _column(data: Mapping[str, Any], name: str) -> np.ndarray:
    return np.asarray(data[name], float)


def _regression(covariates: Any, y: Any, prior_of_sigma: dist.Distribution) -> None:
    """Samples beta (flat), sigma from its prior, and y ~ N(covariates beta, sigma).

    Args:
        covariates: [N, P], the constant among them.
        y: [N].
        prior_of_sigma: of sigma > 0.
    """
    beta = numpyro.sample(
        "beta", dist.ImproperUniform(dist.constraints.real_vector, (), (covariates.shape[1],))
    )
    sigma = numpyro.sample("sigma", prior_of_sigma)
    numpyro.sample("y", dist.Normal(covariates @ beta, sigma).to_event(1), obs=y)


def _with_constant(*columns: np.ndarray) -> np.ndarray:
    """Returns a constant 1 and then the columns, [N, 1 + columns]."""
    return np.stack([np.ones_like(columns[0]), *columns], axis=1)


def _flat_scale() -> dist.Distribution:
    return dist.ImproperUniform(dist.constraints.positive, (), ())
