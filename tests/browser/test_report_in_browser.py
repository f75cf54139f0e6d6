"""The report page as a browser shows it: all drawn, nothing cut off, fetched or complained of."""

import html
import re
import shutil
import subprocess

import pytest

from orchestrator.report import page
from tests.report.builders import an_answer

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs chromium; on Debian: apt-get install -y chromium"
)

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr",
)  # fmt: skip
BUDGET_MS = 20_000
"""Virtual time for the page's own work; real time is shorter when there is nothing to wait for."""

PROBE = """
<script>
// Asked from the same document, since the page forbids everything from outside of it.
addEventListener("load", () => setTimeout(() => {
  const wide = [...document.querySelectorAll("body *")].filter((one) =>
    one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll, .static, svg"));
  document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
  document.body.dataset.wide = wide.map((one) => one.tagName + "." + one.className).join(" ");
  document.body.dataset.requests = performance.getEntriesByType("resource")
    .map((one) => one.name).filter((name) => !/^(data|blob):/.test(name)).join(" ");
  const button = document.querySelector(".legend button");
  button.click();
  const traces = document.getElementById("graph-" + button.dataset.graph).data;
  document.body.dataset.hidden = traces.filter((one) => one.visible === false).length;
  document.body.dataset.members =
    traces.filter((one) => one.legendgroup === button.dataset.group).length;
}, 5000));
</script>
"""


@pytest.fixture(scope="module")
def written():
    text = page(an_answer())
    assert text.rstrip().endswith("</html>")
    return text.replace("</body>", PROBE + "</body>")


def shown(folder, text, width):
    """The page's document after its scripts ran, and what the browser said, at `width` pixels.

    A headless window is never narrower than 500 pixels, so the page stands in a frame, as it does
    in MLflow's viewer of artifacts.
    """
    (folder / "page.html").write_text(text, encoding="utf-8")
    (folder / "frame.html").write_text(
        f'<body style="margin:0"><iframe src="page.html" width="{width}" height="900">'
        "</iframe><script>onload = () => setTimeout(() => {"
        "const inside = document.querySelector('iframe').contentDocument;"
        "document.body.dataset.inside = inside.documentElement.outerHTML.replace("
        "/<script[^]*?<\\/script>|data:image[^\"]*/g, ''); }, 9000);</script>",
        encoding="utf-8",
    )
    run = subprocess.run(
        [
            CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--window-size=1400,900",
            f"--virtual-time-budget={BUDGET_MS}", "--dump-dom", (folder / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    inside = re.search(r'data-inside="([^"]*)"', run.stdout)
    assert inside, run.stdout[:2000]
    said = [line for line in run.stderr.splitlines() if ":CONSOLE" in line]
    return html.unescape(inside[1]), said


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_draws_every_graph_and_fits_its_window(tmp_path, written, width):
    document, said = shown(tmp_path, written, width)
    assert said == []
    graphs = len(re.findall(r'id="graph-', document))
    assert graphs == 8
    assert f'data-graphs="{graphs}"' in document
    assert document.count('class="main-svg"') >= 2 * graphs
    assert re.search(r'data-overflow="(-?\d+)"', document)[1] == "0"
    assert re.search(r'data-wide="([^"]*)"', document)[1] == ""
    assert re.search(r'data-requests="([^"]*)"', document)[1] == ""


def test_pressing_a_name_in_a_legend_hides_what_it_names(tmp_path, written):
    document, _ = shown(tmp_path, written, 1280)
    hidden, members = (
        int(re.search(rf'data-{name}="(\d+)"', document)[1]) for name in ("hidden", "members")
    )
    assert hidden == members > 0
    assert len(re.findall('<button[^>]*aria-pressed="false"', document)) == 1


def test_a_page_whose_script_fails_still_shows_the_printed_pictures(tmp_path, written):
    broken = written.replace(PROBE, "").replace(
        'getElementById("graphs")', 'getElementById("nowhere")'
    )
    document, said = shown(tmp_path, broken, 1280)
    assert len(said) == 1
    assert 'class="live"' not in document
    assert document.count('<div class="static"><img') == 5
