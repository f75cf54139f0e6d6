"""What a person opens, and how to tell that it is there."""

import json
import re
from dataclasses import dataclass
from urllib.parse import quote

from benchmarks.browse.chromium import Chromium, Shown
from benchmarks.browse.stores import Ui
from orchestrator.tracking import cells_page

MATCHING = r"document.body.innerText.match(/(\d+)\s+matching runs?/)"
"""The line under MLflow's list of runs."""

PAGE = 100
"""Runs that MLflow's list loads at a time."""

FILTER = "params.d = '2' and params.`learner.kind` = 'nothing'"
_SEARCHED = re.compile("(?<=searchFilter=)[^&]*")

SEARCH = "document.querySelector('[data-testid=\"search-box\"] input, input[placeholder*=metrics]')"


@dataclass(frozen=True)
class Times:
    """Each page of one UI."""

    first: Shown
    cells: Shown
    opened: Shown
    filtered: Shown


def lists(runs: int) -> str:
    """The expression that so many runs are listed, and rows of them drawn."""
    number = min(runs, PAGE)
    return (
        f"(({MATCHING} || [])[1] === '{number}') && "
        f"document.querySelectorAll('.ag-center-cols-container [role=row]').length >= "
        f"{min(number, 10)}"
    )


async def browsed(browser: Chromium, ui: Ui, cells: int, at_d: int) -> Times:
    """Open the sweeps, those cells that are of one d and learner, and all cells of the sweep; there
    type the filter.
    """
    page = f"{ui.root}/{cells_page('1', ui.sweep)}"
    first = await browser.open(ui.opens, lists(1))
    opened = await browser.open(_SEARCHED.sub(quote(FILTER, safe=""), page), lists(at_d))
    cells_shown = await browser.open(page, lists(cells))
    await browser.evaluate(f"{SEARCH}.focus(); {SEARCH}.select()")
    filtered = await browser.search(FILTER, lists(at_d))
    return Times(first, cells_shown, opened, filtered)


async def running(browser: Chromium, ui: Ui) -> int:
    """Runs that MLflow lists as RUNNING."""
    words = {"experiment_ids": ["1"], "filter": "attributes.status = 'RUNNING'"}
    script = (
        "fetch('ajax-api/2.0/mlflow/runs/search', {method: 'POST', headers: "
        f"{{'Content-Type': 'application/json'}}, body: {json.dumps(json.dumps(words))}}})"
        ".then((one) => one.json()).then((one) => (one.runs || []).length)"
    )
    return int(await browser.evaluate(script))
