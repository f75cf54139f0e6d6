import itertools
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import plotly.graph_objects
import pytest

from orchestrator.report import page, words
from tests.report.builders import SPEC, a_small_answer, an_answer, an_answer_with_k, an_empty_answer

NASTY = "<script>alert(1)</script>&\"'$ {{ 7*7 }}"


class Reader(HTMLParser):
    """Elements with their attributes, and text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.words, self.open = [], [], []
        self.scripts = []
        self.feed(text)
        self.text = re.sub(r"[ \n]+", " ", " ".join(self.words))

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def read():
    return Reader(page(an_answer()))


@pytest.fixture(scope="module")
def nasty():
    (arm,) = a_small_answer().arms
    row = replace(an_answer().rows[3], outcome=None, success=None, reasons=(NASTY,), key=NASTY)
    odd = replace(arm, label=NASTY, learner={"kind": NASTY}, n_counts=NASTY)
    return page(
        a_small_answer(
            arms=(odd,),
            name=NASTY,
            question=NASTY,
            criterion=NASTY,
            spec_source=NASTY,
            rows=(row,),
            gaps=1,
        )
    )


def test_nothing_in_the_page_is_fetched(read):
    for tag, attrs in read.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            address = attrs.get(name) or ""
            assert address.startswith(("data:", "#")) or not address, (tag, name, address[:80])
    style = " ".join(attrs.get("style", "") or "" for _, attrs in read.elements)
    assert "url(" not in style
    assert "@import" not in page(an_empty_answer()).split("<script", 1)[0]


def test_the_page_forbids_requests_to_itself(read):
    (policy,) = (m["content"] for m in read.all("meta") if "http-equiv" in m)
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "unsafe-eval" not in policy


def test_every_threshold_stands_in_the_page_with_its_interval_and_to_the_last_digit(read):
    exact = {float(one["value"]) for one in read.all("data")}
    for arm in an_answer().arms:
        for found in arm.thresholds:
            assert words.n_star(found.threshold) in read.text
            assert words.interval(found.threshold) in read.text
            if found.threshold.n_star is not None:
                assert found.threshold.n_star in exact
    assert "> 1\u202f600" in read.text
    assert "not known" in read.text


def test_theory_laws_ratios_and_exponent_gaps_stand_in_the_page(read):
    for part in (
        "Ghorbani et al. 2021",
        "0.79 in d (95\u202f% interval 0.70 to 0.88)",
        "not decisive",
        "−1.13 (−1.25 to −1.01)",
        "8 of 10 thresholds found, 1 undecided, 1 above range",
        "stopped at max_trials",
    ):
        assert part in read.text
    for *_, ratio, low, high in an_answer().comparisons[0].ratios:
        assert words.number(ratio) in read.text
        assert words.between(low, high) in read.text


def test_gaps_are_listed_with_their_reasons_and_counted(read):
    assert "worker died: out of memory; out of memory, twice" in read.text
    assert "10 gaps" in read.text
    lost = [row for row in an_answer().rows if row.outcome is None]
    assert all(row.key[:12] in read.text for row in lost)


def test_gaps_beyond_the_rows_handed_over_are_still_counted():
    lost = [row for row in an_answer().rows if row.outcome is None and row.arm == 0]
    few = a_small_answer(rows=tuple(lost), gaps=len(lost) + 3)
    assert "3 more gaps not listed here" in Reader(page(few)).text


def test_the_question_can_be_asked_again(read):
    assert SPEC.splitlines()[-1].strip() in read.text
    assert "phasefront run quickstart.yaml" in read.text


@pytest.mark.parametrize(
    ("source", "name"),
    [('{"format": 1}', "x.json"), ("format = 1\n", "x.toml"), ("format: 1\n", "x.yaml")],
)
def test_the_file_is_named_after_its_language(source, name):
    text = Reader(page(replace(an_empty_answer(), name="x", spec_source=source))).text
    assert f"phasefront run {name}" in text


def test_names_from_outside_are_text_and_never_markup(nasty):
    clean, read = page(a_small_answer()), Reader(nasty)
    assert nasty.count("<script") == clean.count("<script")
    assert "<script>alert" not in nasty
    assert re.sub(r"[ \n]+", " ", NASTY) in read.text
    assert read.text.count("{{ 7*7 }}") > 3


def test_hover_texts_escape_names_for_plotlys_own_markup(nasty):
    (graphs,) = (json.loads(one) for one in Reader(nasty).scripts if one.startswith("[{"))
    texts = json.dumps([graph["data"] for graph in graphs])
    assert "&lt;script&gt;" in texts
    assert "<script>" not in texts


@pytest.mark.parametrize(
    "answer", [a_small_answer("above_range"), an_answer_with_k(), an_empty_answer()]
)
def test_plotly_accepts_every_graph_and_each_has_its_place(answer):
    read = Reader(page(answer))
    (graphs,) = (json.loads(one) for one in read.scripts if one.startswith("[{"))
    places = {div["id"] for div in read.all("div") if div.get("class") == "graph"}
    assert places == {f"graph-{graph['id']}" for graph in graphs}
    for graph in graphs:
        plotly.graph_objects.Figure(data=graph["data"], layout=graph["layout"])


def test_every_legend_entry_belongs_to_traces_of_its_graph(read):
    (graphs,) = (json.loads(one) for one in read.scripts if one.startswith("[{"))
    groups = {graph["id"]: {t.get("legendgroup") for t in graph["data"]} for graph in graphs}
    buttons = read.all("button")
    assert len(buttons) > 10
    assert all(one["data-group"] in groups[one["data-graph"]] for one in buttons)


def test_the_page_can_be_read_without_seeing_it(read):
    assert read.all("html")[0]["lang"] == "en"
    assert len(read.all("h1")) == 1
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch(r"h[1-6]", tag)]
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert all(len(image["alt"]) > 40 for image in read.all("img"))
    assert all("scope" in cell for cell in read.all("th"))
    assert all(len(div["aria-label"]) > 40 for div in read.all("div") if div.get("role") == "img")
    ids = [attrs["id"] for _, attrs in read.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    pointers = [a["aria-labelledby"] for _, a in read.elements if "aria-labelledby" in a]
    assert set(pointers) <= set(ids)


def test_an_unfinished_sweep_says_that_numbers_may_move():
    text = Reader(page(an_empty_answer())).text
    assert "This sweep is interrupted" in text
    assert "No trial has an answer yet" in text
    assert "No law is fitted with fewer than three thresholds" in text


def test_equal_answers_give_equal_pages():
    assert page(a_small_answer()) == page(a_small_answer())
