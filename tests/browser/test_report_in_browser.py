"""The report page as a browser shows it: all drawn, nothing cut off, fetched or complained of.

Pictures of the page at 1280 and 390 pixels, in the dark and on paper, are left in
`build/screenshots/`.
"""

import html
import itertools
from pathlib import Path

import pytest

from benchmarks.report.chromium import CHROMIUM, SCROLL, open_page
from benchmarks.report.simulated import simulated
from orchestrator.report import page
from tests.report.builders import an_answer

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium; on Debian: apt-get install -y chromium"
)

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
ALL_DRAWN = (
    "Number(document.documentElement.dataset.graphs) === document.querySelectorAll('.graph').length"
)
TOO_WIDE = """
[...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1
    && !one.closest(".scroll, .static, svg, .skip"))
  .map((one) => one.tagName + "." + one.className).join(" ")
"""
TOO_FAINT = """
(() => {
  const numbers = (colour) => colour.match(/[0-9.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((c) => c / 255)
      .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(at).backgroundColor);
      if (a > 0.99) return `rgb(${r}, ${g}, ${b})`;
    }
    return "rgb(255, 255, 255)";
  };
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (words.nextNode()) {
    const one = words.currentNode.parentElement;
    if (!words.currentNode.data.trim() || one.closest("script, style, svg, .skip")) continue;
    const both = [light(getComputedStyle(one).color), light(paper(one))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    if (contrast < 4.5) faint.push(words.currentNode.data.trim().slice(0, 40) + " " + contrast);
  }
  return faint.join("; ");
})()
"""
HEARD = "onmessage = (event) => { window.heard = event.data; }"
TELL = (
    f"<script>addEventListener('load', () => {SCROLL.strip()}.then(() => parent.postMessage("
    "document.documentElement.dataset.graphs + ' of ' + "
    "document.querySelectorAll('.graph').length, '*')));</script></body>"
)


def scheme(tab, name, media=""):
    features = [{"name": "prefers-color-scheme", "value": name}]
    tab.tell("Emulation.setEmulatedMedia", media=media, features=features)


def beside(tab):
    """Addresses that were asked for beside the page itself."""
    return [one for one in tab.asked if not one.startswith(("data:", "blob:", "file:"))]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Pages as files: of two arms with gaps and bounds, and of a tuned arm with learning curves."""
    folder = tmp_path_factory.mktemp("pages")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    answers = {"report": an_answer(), "tuned": simulated(2400, 2, tuned=True, status="running")}
    for name, answer in answers.items():
        (folder / f"{name}.html").write_text(page(answer, made=1_760_000_500.0), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    with open_page(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture
def opened(tab, pages):
    """Opens one of the pages at a width and waits until it is drawn."""

    def at(name, width):
        tab.said.clear()
        tab.asked.clear()
        tab.size(width)
        scheme(tab, "light")
        tab.go((pages / f"{name}.html").as_uri())
        tab.ask(SCROLL)
        tab.wait(ALL_DRAWN)
        return tab

    return at


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("name", "graphs"), [("report", 12), ("tuned", 17)])
def test_the_page_draws_every_graph_and_fits_its_window(opened, name, graphs, width):
    tab = opened(name, width)
    tab.picture(SCREENSHOTS / f"{name}-{width}.png")
    assert tab.ask("document.querySelectorAll('.js-plotly-plot .main-svg').length") >= graphs
    assert tab.ask("document.querySelectorAll('.graph').length") == graphs
    assert tab.ask("document.documentElement.scrollWidth - innerWidth") == 0
    assert tab.ask(TOO_WIDE) == ""
    assert tab.said == []
    assert beside(tab) == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_words_stand_out_from_their_paper(opened, colours):
    tab = opened("report", 1280)
    scheme(tab, colours)
    if colours == "dark":
        tab.picture(SCREENSHOTS / "report-dark-1280.png")
    assert tab.ask(TOO_FAINT) == ""


def test_on_paper_stand_the_printed_pictures(opened):
    tab = opened("report", 1280)
    scheme(tab, "light", media="print")
    tab.picture(SCREENSHOTS / "report-print.png")
    tab.printed(SCREENSHOTS / "report.pdf")
    shown = "[...document.querySelectorAll('{}')].filter((one) => one.offsetHeight).length"
    assert tab.ask(shown.format(".static img")) == 7
    assert tab.ask(shown.format(".graph")) == 0
    assert (SCREENSHOTS / "report.pdf").read_bytes().startswith(b"%PDF")


def test_the_keyboard_reaches_everything_that_can_be_pressed(opened):
    tab = opened("report", 1280)
    tab.press("Tab")
    assert tab.ask("document.activeElement.className") == "skip"
    tab.press("Enter", "\r")
    assert tab.ask("location.hash") == "#answer"
    tab.ask("document.querySelector('.legend button').focus()")
    tab.press(" ", " ")
    tab.wait("document.activeElement.getAttribute('aria-pressed') === 'false'")
    unreachable = "document.querySelectorAll('.scroll:not([tabindex]), [tabindex=\"-1\"]').length"
    assert tab.ask(unreachable) == 0


def test_landmarks_and_headings_lead_through_the_page(opened):
    tab = opened("report", 1280)
    for landmark in ("header", "nav[aria-label]", "main", "footer"):
        assert tab.ask(f"document.querySelectorAll('body > {landmark}, header {landmark}').length")
    levels = tab.ask("[...document.querySelectorAll('h1, h2, h3')].map((one) => +one.tagName[1])")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    targets = "[...document.querySelectorAll('nav a')].every((a) => document.querySelector(a.hash))"
    assert tab.ask(targets)


def test_pressing_a_name_in_a_legend_hides_what_it_names(opened):
    tab = opened("report", 1280)
    tab.ask("(globalThis.pressed = document.querySelector('.legend button')).click()")
    tab.wait("pressed.getAttribute('aria-pressed') === 'false'")
    traces = "document.getElementById('graph-' + pressed.dataset.graph).data"
    members = f"{traces}.filter((one) => one.legendgroup === pressed.dataset.group)"
    tab.wait(f"{members}.every((one) => one.visible === false)")
    assert tab.ask(f"{members}.length") > 0
    assert tab.ask(f"{traces}.some((one) => one.visible !== false)")


@pytest.mark.parametrize("name", ["report", "tuned"])
def test_it_draws_in_a_viewers_sandbox(tab, pages, tmp_path, name):
    """MLflow shows HTML in a frame that may run scripts and has no origin of its own."""
    inside = (pages / f"{name}.html").read_text(encoding="utf-8").replace("</body>", TELL)
    frame = (
        f"<body style='margin:0'><script>{HEARD}</script><iframe sandbox='allow-scripts' "
        f'width="700" height="900" srcdoc="{html.escape(inside)}"></iframe>'
    )
    (tmp_path / "frame.html").write_text(frame, encoding="utf-8")
    tab.said.clear()
    tab.asked.clear()
    tab.go((tmp_path / "frame.html").as_uri())
    tab.wait("window.heard && heard.split(' of ')[0] === heard.split(' of ')[1]")
    assert tab.said == []
    assert beside(tab) == []


def test_a_page_whose_script_fails_still_shows_the_printed_pictures(tab, pages, tmp_path):
    text = (pages / "report.html").read_text(encoding="utf-8")
    broken = text.replace('getElementById("graphs")', 'getElementById("nowhere")')
    (tmp_path / "broken.html").write_text(broken, encoding="utf-8")
    tab.said.clear()
    tab.go((tmp_path / "broken.html").as_uri())
    tab.wait("document.readyState === 'complete'")
    assert len(tab.said) == 1
    shown = "[...document.querySelectorAll('.static img')].filter((one) => one.offsetHeight).length"
    assert tab.ask(shown) == 7


def test_a_graph_that_fails_leaves_its_printed_picture_and_the_others(tab, pages, tmp_path):
    text = (pages / "report.html").read_text(encoding="utf-8")
    broken = text.replace('{"id":"ratios-d","data":[', '{"id":"ratios-d","data":[null,')
    assert broken != text
    (tmp_path / "one.html").write_text(broken, encoding="utf-8")
    tab.said.clear()
    tab.go((tmp_path / "one.html").as_uri())
    tab.ask(SCROLL)
    assert tab.ask("document.querySelectorAll('.panel:not(.live)').length") == 1
    tab.wait("Number(document.documentElement.dataset.graphs) === 11")
    assert ["ratios-d" in line for line in tab.said] == [True]
