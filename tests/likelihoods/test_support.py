"""What a likelihood is not for: data outside its support, and options out of range."""

import numpy as np
import pytest

from jensen.likelihoods import check_support, likelihoods
from likelihood_cases import ROWS, build

GREY = np.array([[0.0, 0.25], [0.5, 1.0]])


@pytest.mark.parametrize(
    ("choice", "values", "message"),
    [
        (
            "bernoulli",
            np.array([[0.0, 1.0], [1.0, 300.0]]),
            r"1 of 4 values of the data lie outside .*\(0 and 1\).*first is 300 at \[1, 1\].*poisson.*--likelihood",
        ),
        (
            "bernoulli",
            GREY,
            r"2 of 4 .*first is 0\.25 at \[0, 1\].*fit: continuous_bernoulli.*normal.*continuous_bernoulli is a density.*binarise=dynamic",
        ),
        (
            "bernoulli",
            np.array([[0, 17]], np.uint8),
            r"first is 17 at \[0, 1\].*discretized_logistic gives bits per dimension \(bytes.*binarise=threshold",
        ),
        (
            "bernoulli",
            np.array([[np.nan, 0.0]]),
            r"first is nan at \[0, 0\].*No likelihood here fits.*NaN",
        ),
        (
            "normal",
            np.array([[0.0, -np.inf]]),
            r"all real numbers.*first is -inf at \[0, 1\].*No likelihood here fits",
        ),
        (
            "student_t",
            np.array([[0.0, np.nan]]),
            r"all real numbers.*first is nan.*No likelihood here fits",
        ),
        (
            "poisson",
            np.array([[1.0, 2.5]]),
            r"whole numbers from 0.*first is 2\.5.*neither normalised nor as logarithms.*fit: normal",
        ),
        ("negative_binomial", np.array([[1, -2]]), r"first is -2 .*Give the counts themselves"),
        (
            "continuous_bernoulli",
            np.array([[0, 255]], np.uint8),
            r"numbers from 0 to 1.*first is 255.*Divide bytes by 255.*discretized_logistic",
        ),
        (
            "categorical",
            np.array([[0.0, -1.0]]),
            r"whole numbers 0 to num_classes - 1\).*first is -1",
        ),
        (
            {"name": "categorical", "num_classes": 3},
            np.array([[0, 5]]),
            r"num_classes=3\).*first is 5 .*--set likelihood.num_classes=10",
        ),
        (
            "discretized_logistic",
            GREY,
            r"levels v = 0 to num_bins - 1, or \(v \+ .5\) / num_bins.*first is 0.25.*as bytes 0..255, or as \(v \+ .5\) / 256",
        ),
        ("discretized_logistic", np.array([[0, 256]]), r"1 of 2 .*first is 256"),
        (
            {"name": "discretized_logistic", "num_bins": 16},
            np.array([[3, 200]], np.uint8),
            r"num_bins=16\).*first is 200",
        ),
        (
            {"name": "discretized_logistic", "units": "centres"},
            np.array([[3, 200]], np.uint8),
            r"2 of 2 .*units=centres\).*first is 3",
        ),
        (
            {"name": "discretized_logistic", "units": "levels"},
            ROWS["centres"],
            r"150 of 150 .*units=levels\)",
        ),
    ],
)
def test_data_outside_the_support_are_refused_with_place_value_and_remedy(choice, values, message):
    with pytest.raises(ValueError, match=message):
        check_support(choice, values)


def test_levels_among_bin_centres_are_no_bin_centres():
    mixed = np.array([[0.5 / 256, 3.5 / 256, 1.0]])
    np.testing.assert_array_equal(
        likelihoods.find("discretized_logistic").outside(mixed), [[False, False, True]]
    )
    np.testing.assert_array_equal(
        likelihoods.find("discretized_logistic").outside(np.array([[0.0, 3.0, 1.5 / 256]])),
        [[False, False, True]],
    )


def test_data_within_the_support_are_accepted_and_others_named_by_where():
    for name, rows in ROWS.items():
        assert check_support("discretized_logistic" if name == "centres" else name, rows) is None
        assert check_support("normal", rows) is None
    with pytest.raises(ValueError, match="of the test split lie outside"):
        check_support("bernoulli", ROWS["normal"], where="the test split")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("student_t", {"df": 1.0}, r"df must be finite and above 1.*got 1\.0"),
        ("categorical", {"num_classes": 1}, r"num_classes must be at least 2; got 1"),
        ("discretized_logistic", {"num_bins": 1}, r"num_bins must be at least 2; got 1"),
        (
            "discretized_logistic",
            {"units": "bytes"},
            r"units must be one of levels, centres, None; got 'bytes'",
        ),
        (
            "discretized_logistic",
            {"mean_margin": 0.5},
            r"mean_margin must lie in \[0, 0\.5\); got 0\.5",
        ),
        (
            "discretized_logistic",
            {"min_log_scale": 1.0},
            r"in order.*min_log_scale=1\.0, max_log_scale=0\.0",
        ),
    ],
)
def test_options_out_of_range_are_refused_with_the_value(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, options, ROWS["poisson"])


def test_the_number_of_classes_is_not_guessed_without_data_or_from_huge_values():
    with pytest.raises(ValueError, match=r"num_classes must be given when no data are"):
        likelihoods.build("categorical", {}, {"event_shape": (3,), "data": None})
    with pytest.raises(ValueError, match=r"largest value is 200000.*poisson or negative_binomial"):
        build("categorical", {}, np.array([[0, 200_000]] * 3))
