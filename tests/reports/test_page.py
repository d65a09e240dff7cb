import base64
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from _worlds import account_of, echo_data, history_of, inputs_of

from jensen.anatomy.line_table import field_names
from jensen.datasets import Dataset
from jensen.reports import write_report

EVIL = '<script>alert(1)</script> $x$ & "q" \'</style>'


class Page(HTMLParser):
    """What tests ask of a page: its tags, the numbers of its table, its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.lines, self.worst, self._line, self._worst = (
            [],
            [],
            {},
            [],
            None,
            False,
        )
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag == "tr":
            self._line = attributes.get("data-line")
        if tag == "li" and "data-index" in attributes:
            self.worst.append(int(attributes["data-index"]))
        if tag == "data" and self._line:
            self.lines.setdefault(self._line, []).append(float(attributes["value"]))

    def handle_endtag(self, tag):
        self._line = None if tag == "tr" else self._line

    def handle_data(self, data):
        self.text.append(data)

    @property
    def said(self):
        return " ".join(" ".join(self.text).split())


def written(tmp_path, inputs):
    html = write_report(inputs, tmp_path).read_text(encoding="utf-8")
    return html, Page(html)


def embedded(page):
    for tag, attributes in page.tags:
        for name in ("src", "srcset"):
            if name in attributes:
                head, _, content = attributes[name].partition(";base64,")
                yield tag, head, base64.b64decode(content)


@pytest.mark.usefixtures("without_drawing")
@pytest.mark.parametrize("splits", [(), ("train",), ("validation", "train")])
def test_the_table_holds_the_account_s_values(tmp_path, splits):
    test, others = (
        account_of(40),
        [account_of(40, split, seed=seed) for seed, split in enumerate(splits, 1)],
    )
    html, page = written(tmp_path, inputs_of(accounts={a.split: a for a in (test, *others)}))
    assert tuple(page.lines) == field_names()
    for name in field_names():
        ours = test.line(name)
        expected = [ours.value, ours.standard_error, ours.data_error]
        for other in (account.line(name) for account in others):
            expected += [
                other.value,
                other.standard_error,
                ours.value - other.value,
                np.hypot(ours.data_error, other.data_error),
            ]
        assert page.lines[name] == pytest.approx(expected, rel=1e-12)
        assert f">{ours.value:.3f}</data>".replace("-", "\N{MINUS SIGN}") in html


@pytest.mark.usefixtures("without_drawing")
def test_the_first_account_is_the_main_one(tmp_path):
    _, page = written(
        tmp_path,
        inputs_of(accounts={"train": account_of(40, "train", seed=1), "test": account_of(40)}),
    )
    assert page.lines["elbo"][0] == account_of(40, "train", seed=1).elbo.value
    assert "test split" not in page.said


def test_untrusted_text_appears_only_escaped(tmp_path):
    inputs = inputs_of(
        title=EVIL,
        dataset=echo_data((3,), notes=[EVIL], name=EVIL),
        outcome=EVIL,
        warnings=(EVIL,),
        config={EVIL: {EVIL: EVIL, "deep": {"er": [EVIL]}}, "loose": EVIL},
        version=EVIL,
        accounts={
            "test": account_of(40, verdicts=(f"Prior: {EVIL}", EVIL)),
            EVIL: account_of(40, seed=1),
        },
    )
    html, page = written(tmp_path, inputs)
    assert "<script" not in html.lower()
    assert "script" not in {tag for tag, _ in page.tags}
    assert html.count("</style>") == 1
    assert page.said.count('<script>alert(1)</script> $x$ & "q" \'</style>') >= 12


@pytest.mark.usefixtures("without_drawing")
def test_a_title_from_an_undecodable_file_name_is_no_reason_to_fail(tmp_path):
    html, _ = written(tmp_path, inputs_of(title="r\udcffn \N{SNOWMAN}"))
    assert "<h1>r?n \N{SNOWMAN}</h1>" in html


@pytest.fixture(scope="module")
def of_images(tmp_path_factory):
    """(folder, HTML, page) of a report on images."""
    folder = tmp_path_factory.mktemp("images")
    return folder, *written(folder, inputs_of((8, 8)))


def test_the_page_needs_no_network(of_images):
    _, html, page = of_images
    assert (
        "http://" not in html
        and "https://" not in html
        and "@import" not in html
        and "url(" not in html
    )
    assert {tag for tag, _ in page.tags}.isdisjoint(
        {"script", "link", "iframe", "object", "embed", "base"}
    )
    for tag, attributes in page.tags:
        for name in ("src", "srcset", "href", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/")), (tag, name)
    kinds = set()
    for _, head, content in embedded(page):
        kinds.add(head)
        if head == "data:image/svg+xml":
            svg = re.sub(r'xmlns(:\w+)?="[^"]*"', "", content.decode())
            assert "http" not in svg and "<script" not in svg and "<!DOCTYPE" not in svg
            assert all(
                link.startswith(("#", "data:image/png"))
                for link in re.findall(r'href="([^"]*)"', svg)
            )
        else:
            assert content.startswith(b"\x89PNG")
    assert kinds == {"data:image/svg+xml", "data:image/png"}


def test_every_picture_has_a_text_and_every_link_a_target(of_images):
    page = of_images[2]
    assert all(attributes.get("alt") for tag, attributes in page.tags if tag == "img")
    anchors = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"} <= anchors


@pytest.mark.usefixtures("without_drawing")
def test_the_worst_data_are_those_of_least_evidence(tmp_path):
    account = account_of(40)
    _, page = written(tmp_path, inputs_of(accounts={"test": account}))
    assert page.worst == np.argsort(account.evidence.per_datum)[:12].tolist()


@pytest.mark.parametrize(
    "event_shape", [(1,), (2,), (5,), (40,), (8, 8), (6, 9, 3), (1, 7), (2, 3, 4, 2)]
)
def test_every_kind_of_event_has_its_pictures(tmp_path, event_shape):
    _, page = written(tmp_path, inputs_of(event_shape))
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {
        "waterfall",
        "curves",
        "reconstructions",
        "samples",
        "traversals",
        "evidence",
        "pareto_k",
        "dimensions",
    }
    drawn = [head for tag, head, _ in embedded(page) if tag == "source"]
    assert drawn.count("data:image/png") == (3 if event_shape in ((8, 8), (6, 9, 3)) else 0)


def test_no_history_is_said(tmp_path):
    _, page = written(tmp_path, inputs_of(history=[]))
    assert "No training history was kept" in page.said
    assert not (tmp_path / "figures" / "curves.svg").exists()


@pytest.mark.parametrize("epochs", [1, 30])
def test_a_history_of_any_length_without_validation(tmp_path, epochs):
    _, page = written(tmp_path, inputs_of(history=history_of(epochs, warm_up=0, validation=False)))
    assert any(f"over {epochs} epochs" in attributes.get("alt", "") for _, attributes in page.tags)


@pytest.mark.parametrize(
    ("pareto_k", "said"),
    [
        (-np.inf, "40 have a k-hat of \N{MINUS SIGN}∞"),
        (np.nan, "40 have none"),
        (0.3, "0 of 40 data (0.0%) are not to be trusted"),
        (0.9, "40 of 40 data (100.0%) are not to be trusted"),
    ],
)
def test_k_hat_of_every_kind(tmp_path, pareto_k, said):
    _, page = written(tmp_path, inputs_of(accounts={"test": account_of(40, pareto_k=pareto_k)}))
    assert said in page.said
    assert ("No datum has a finite k-hat" in page.said) == (not np.isfinite(pareto_k))


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_data(tmp_path, n):
    _, page = written(tmp_path, inputs_of((3,), n=n))
    assert page.worst == np.argsort(account_of(n).evidence.per_datum).tolist()
    assert ("n/a" in page.said) == (n == 1)


def test_data_and_model_without_any_spread(tmp_path):
    rows = np.ones((6, 3), np.float32)
    written(tmp_path, inputs_of(n=6, dataset=Dataset("constant", rows, rows[:0], rows)))


def test_an_account_of_other_data_is_refused(tmp_path):
    with pytest.raises(ValueError, match="other data"):
        write_report(inputs_of(accounts={"test": account_of(39)}), tmp_path)
    with pytest.raises(ValueError, match="at least one account"):
        write_report(inputs_of(accounts={}), tmp_path)


def test_the_same_inputs_give_the_same_files(of_images, tmp_path):
    first, again = of_images[0], write_report(inputs_of((8, 8)), tmp_path / "again")
    assert again.read_bytes() == (first / "report.html").read_bytes()
    for path in (first / "figures").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / "figures" / path.name).read_bytes()
    other = write_report(inputs_of((8, 8), seed=4), tmp_path / "other")
    assert (tmp_path / "other" / "figures" / "samples.png").read_bytes() != (
        first / "figures" / "samples.png"
    ).read_bytes()
    assert other.name == "report.html"


@pytest.mark.slow
@pytest.mark.parametrize("event_shape", [(32, 32, 3), (784,)])
def test_a_page_of_noise_stays_small(tmp_path, event_shape):
    inputs = inputs_of(event_shape, n=100, history=history_of(500))
    page = write_report(inputs, tmp_path)
    assert page.stat().st_size < 3_000_000
