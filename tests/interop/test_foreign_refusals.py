"""What a foreign model may do wrong, and what is said about it."""

import subprocess
import sys
import textwrap

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest

import jensen
from interop.test_host import KEY, ROWS, WORLD, log_likelihood, make
from jensen.evidence import Importance, estimate_evidence
from jensen.interop import ForeignError, PseudoInputs, check_foreign

N = len(ROWS)


def loc_scale(x, loc=None, scale=None):
    a, b = WORLD.q(x)
    return (loc(a) if loc else a), (scale(np.array(b)) if scale else b)


def poke(value, row=17):
    """The datum with this number, found by its value, gets `value`."""

    def change(x, a):
        hit = np.flatnonzero(np.isclose(x[:, 0], ROWS[row, 0]))
        a = np.array(a)
        a[hit, 0] = value
        return a

    return change


def encode_with(change, part):
    def encode(x):
        loc, scale = WORLD.q(x)
        return (change(x, loc), scale) if part == "loc" else (loc, change(x, scale))

    return encode


class Counting:
    """Answers with chance in it: another one at each call."""

    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *arguments):
        self.calls += 1
        found = self.function(*arguments)
        return (
            tuple(a + 0.1 * self.calls for a in found)
            if isinstance(found, tuple)
            else found + 0.1 * self.calls
        )


def raises(*arguments):
    raise KeyError("latent_size")


BAD = {
    "loc nan": (
        {"encode": encode_with(poke(np.nan), "loc")},
        "encode's loc is not finite for datum 17",
    ),
    "scale nan": (
        {"encode": encode_with(poke(np.nan), "scale")},
        "encode's scale is not finite for datum 17",
    ),
    "scale negative": (
        {"encode": encode_with(poke(-0.5), "scale")},
        "must be positive; it is -0.5 for datum 17.*log variance",
    ),
    "scale zero": (
        {"encode": encode_with(poke(0.0), "scale")},
        "must be positive; it is 0 for datum 17",
    ),
    "encode one array": ({"encode": lambda x: WORLD.q(x)[0]}, "encode must return a pair"),
    "loc shape": (
        {"encode": lambda x: (np.zeros((len(x), 3)), np.ones((len(x), 3)))},
        r"loc must have shape \(16, 2\).*got \(16, 3\).*latent_dim is 2",
    ),
    "cholesky": (
        {"encode": lambda x: (np.zeros((len(x), 2)), np.stack([np.eye(2)] * len(x)))},
        "posterior='full_normal'",
    ),
    "upper": (
        {
            "encode": lambda x: (np.zeros((len(x), 2)), np.stack([np.ones((2, 2))] * len(x))),
            "posterior": "full_normal",
        },
        "lower triangular.*np.linalg.cholesky",
    ),
    "batch mean": (
        {"log_likelihood": lambda x, z: log_likelihood(x, z).mean()},
        r"shape \(16,\) for 16 data; got \(\).*one number for the whole batch",
    ),
    "batch mean kept": (
        {"log_likelihood": lambda x, z: np.full(len(x), log_likelihood(x, z).mean())},
        "depends on the batch.*reduction='mean'",
    ),
    "per element": (
        {"log_likelihood": lambda x, z: -np.square(x)},
        r"got \(16, 5\).*all axes but the first",
    ),
    "likelihood nan": (
        {"log_likelihood": lambda x, z: np.where(np.isclose(x[:, 0], ROWS[3, 0]), np.nan, 0.0)},
        "log_likelihood is nan for datum 3",
    ),
    "dropout": (
        {"encode": Counting(WORLD.q)},
        r"encode gives other answers.*dropout is on.*eval\(\)",
    ),
    "dropout in decoder": (
        {"log_likelihood": Counting(log_likelihood)},
        "log_likelihood gives other answers",
    ),
    "batch norm": (
        {"encode": lambda x: (WORLD.q(x)[0] - WORLD.q(x)[0].mean(0), WORLD.q(x)[1])},
        r"encode's answer.*batch normalisation.*eval\(\)",
    ),
    "raises": ({"encode": raises}, "encode raised KeyError: 'latent_size'"),
    "no array": (
        {"log_likelihood": lambda x, z: ["a"] * len(x)},
        "must be an array of real numbers",
    ),
    "ragged": ({"log_likelihood": lambda x, z: [[1.0], [1.0, 2.0]]}, "is no NumPy array"),
    "gradient shape": (
        {"log_likelihood_gradient": lambda x, z: np.zeros((len(x), 5))},
        r"gradient must have shape \(16, 2\)",
    ),
    "gradient nan": (
        {"log_likelihood_gradient": lambda x, z: z * np.nan},
        "log_likelihood_gradient is not finite for datum 0",
    ),
    "prior": ({"prior": lambda z: np.zeros((len(z), 2))}, "log_prior's answer must have shape"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_a_callable_does_wrong_is_one_plain_error(name, caplog, capfd):
    options, message = BAD[name]
    with pytest.raises(ForeignError, match=f"(?s){message}"):
        jensen.account(make(**options), ROWS, key=KEY, num_samples=10)
    with pytest.raises(ForeignError):
        estimate_evidence(make(**options), ROWS, Importance(num_samples=10), key=KEY)
    assert not caplog.records and "Traceback" not in "".join(capfd.readouterr())


def test_the_checks_ask_little():
    asked = []

    def counted(x, z):
        asked.append(len(x))
        return log_likelihood(x, z)

    check_foreign(make(log_likelihood=counted), ROWS)
    assert sum(asked) <= 6 * 16
    check_foreign(WORLD.model, ROWS[:, :2])  # a model of jensen's own is not asked
    check_foreign(make(), ROWS[:1])


DATA = {
    "shape": (ROWS[:, :4], r"data of shape \(5,\); got rows of shape \(4,\)"),
    "empty": (ROWS[:0], "no data"),
    "nan": (np.where(np.arange(N)[:, None] == 4, np.nan, ROWS), "datum 4 is not finite"),
    "text": (np.full((3, 5), "a"), "real numbers"),
}


@pytest.mark.parametrize("name", DATA)
def test_data_that_are_not_the_models_are_refused(name):
    data, message = DATA[name]
    with pytest.raises(ValueError, match=message):
        jensen.account(make(), data, key=KEY)


def test_an_exception_after_hours_still_comes_out_as_one_error(caplog, capfd):
    calls = []

    def late(x, z):
        calls.append(len(x))
        if len(calls) > 12:
            raise RuntimeError("out of memory\nand a long story")
        return log_likelihood(x, z)

    with pytest.raises(
        ForeignError, match="log_likelihood raised RuntimeError: out of memory "
    ) as caught:
        jensen.account(make(log_likelihood=late, batch_size=100), ROWS, key=KEY)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert len(calls) == 13  # nothing is asked any more
    assert not caplog.records and "Traceback" not in "".join(capfd.readouterr())
    jensen.account(make(), ROWS, key=KEY, num_samples=10)


def test_an_interruption_within_a_callable_stops_the_account():
    calls = []

    def stopped(x, z):
        calls.append(1)
        if len(calls) > 8:
            raise KeyboardInterrupt
        return log_likelihood(x, z)

    with pytest.raises(KeyboardInterrupt):
        jensen.account(make(log_likelihood=stopped), ROWS, key=KEY)


def test_outside_of_the_front_door_an_exception_is_no_number():
    model = make(log_likelihood=raises)
    with pytest.raises(Exception, match="latent_size"):
        model.decoder(jnp.zeros(2)).log_prob(jnp.zeros(5))


ARGUMENTS = {
    "no callable": ({"encode": 3}, "encode must be callable; got int"),
    "no likelihood": ({"log_likelihood": None}, "log_likelihood must be callable"),
    "latent": ({"latent_dim": 0}, "latent_dim must be a whole number of at least 1; got 0"),
    "event": ({"event_shape": (0, 2)}, "event_shape"),
    "posterior": (
        {"posterior": "full"},
        "posterior must be one of diagonal_normal, full_normal; got 'full'",
    ),
    "dtype": ({"dtype": "float16"}, "dtype must be one of"),
    "trained prior": ({"prior": "vamp"}, "PseudoInputs"),
    "prior of numbers": ({"prior": dist.Normal(0, 1)}, r"\.expand\(\[2\]\)\.to_event\(1\)"),
    "prior of more": (
        {"prior": dist.Normal(jnp.zeros(3), 1).to_event(1)},
        "does not take a code of 2 dimensions|one distribution over codes",
    ),
    "no prior": ({"prior": 3.0}, "prior must be a name"),
    "pseudo-inputs": (
        {"prior": PseudoInputs(np.zeros((4, 3)))},
        r"pseudo-inputs must be data of shape \(5,\)",
    ),
    "gradient of a known prior": ({"log_prior_gradient": lambda z: -z}, "Leave it out"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_mean_nothing_are_refused_when_the_model_is_made(name):
    options, message = ARGUMENTS[name]
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_blocks_of_100_megabytes_cross_on_a_single_core_without_waiting_for_themselves():
    """`jax.pure_callback` does wait for itself here: see `interop/_callback.py`."""
    code = """
        import warnings; warnings.simplefilter("error")
        import jax, jax.numpy as jnp, numpy as np
        from jensen.interop._callback import host_call

        def sums(x): return [x.sum(-1)]
        f = jax.jit(lambda x: jax.lax.map(lambda y: jax.vmap(lambda r: host_call(sums, [()], r)[0])(y), x))
        large = jnp.ones((2, 25_000, 1000))
        found = [f(large + i) for i in range(2)]
        assert float(found[1][1, -1]) == 2000.0
        small = jnp.ones((1, 200, 200))
        for i in range(300): found = f(small + i)
        assert float(found[0, 0]) == 200.0 * 300
        print("done")
    """
    alone = ["taskset", "-c", "0"] if sys.platform == "linux" else []
    done = subprocess.run(
        [*alone, sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.stdout.strip() == "done", done.stderr[-2000:]
