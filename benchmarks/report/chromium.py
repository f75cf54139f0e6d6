"""Headless Chromium, driven over a pipe by its DevTools protocol; nothing beyond Python is needed.

with open_page(tmp, width=390) as page:
page.go("file:///tmp/report.html")
page.ask("document.title")
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
"""Where Chromium is; None without it."""

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60.0

WATCH = """
globalThis.longTasks = [];
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) longTasks.push([one.startTime, one.duration]);
}).observe({entryTypes: ["longtask"]});
"""


SCROLL = """
(async () => {
  const took = [0];
  for (const one of document.querySelectorAll(".graph")) {
    const began = performance.now();
    one.scrollIntoView({block: "center"});
    while (!one.matches(".js-plotly-plot") && one.closest(".live"))
      await new Promise((told) => setTimeout(told, 10));
    took.push(performance.now() - began);
  }
  scrollTo(0, 0);
  return Math.max(...took);
})()
"""
"""Scrolls to every graph of a report and returns the longest wait for one to be drawn, in ms."""


class BrowserError(RuntimeError):
    """The browser ended, or refused a command, or a page raised; the message says which."""


class Page:
    """One tab. `said` are lines of the console, `asked` addresses requested beside the page's."""

    def __init__(self, reads: int, writes: int) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self._reads, self._writes, self._rest, self._number = reads, writes, b"", 0
        self._replies: dict[int, Any] = {}
        self._loaded = False
        self._session = ""
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        attached = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")
        self.tell("Page.addScriptToEvaluateOnNewDocument", source=WATCH)

    def tell(self, method: str, **params: Any) -> Any:
        """Give a command and return its result. Raises `BrowserError` where it is refused."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        ends = time.monotonic() + PATIENCE_S
        while number not in self._replies:
            self._hear(ends)
        reply = self._replies.pop(number)
        if "error" in reply:
            raise BrowserError(f"{method}: {reply['error']}")
        return reply["result"]

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page; promises are awaited."""
        found = self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise BrowserError(f"{expression[:80]}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def size(self, width: int, height: int = 900) -> None:
        """Give the page a window of so many pixels; below 600 it is a phone's."""
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip

    def go(self, address: str) -> None:
        """Open an address and wait until it has loaded."""
        self._loaded = False
        self.tell("Page.navigate", url=address)
        ends = time.monotonic() + PATIENCE_S
        while not self._loaded:
            self._hear(ends)

    def wait(self, condition: str, patience_s: float = PATIENCE_S) -> None:
        """Return once the condition holds in the page. Raises `BrowserError` when it never does."""
        ends = time.monotonic() + patience_s
        while not self.ask(condition):
            if time.monotonic() > ends:
                raise BrowserError(f"waited {patience_s:g} s for {condition}; said: {self.said}")
            time.sleep(0.05)

    def press(self, key: str, text: str = "") -> None:
        """Press and let go one key, by its DOM name."""
        code = {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)
        shared = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": text}
        self.tell("Input.dispatchKeyEvent", type="keyDown", **shared)
        self.tell("Input.dispatchKeyEvent", type="keyUp", **shared)

    def picture(self, path: Path) -> None:
        """The whole page, below the window too, as PNG."""
        found = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def printed(self, path: Path) -> None:
        """The page as a printer would have it, as PDF."""
        found = self.tell("Page.printToPDF", printBackground=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _hear(self, ends: float) -> None:
        """Take in one message. Raises `BrowserError` after `ends`, or when the browser is gone."""
        while b"\0" not in self._rest:
            if not select.select([self._reads], [], [], max(0.0, ends - time.monotonic()))[0]:
                raise BrowserError(f"the browser was silent for {PATIENCE_S:g} s")
            more = os.read(self._reads, 1 << 20)
            if not more:
                raise BrowserError("the browser ended")
            self._rest += more
        one, self._rest = self._rest.split(b"\0", 1)
        self._take(json.loads(one))

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self._replies[message["id"]] = message
            return
        params = message.get("params", {})
        match message["method"]:
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.consoleAPICalled":
                said = " ".join(str(one.get("value", "")) for one in params["args"])
                self.said.append(f"{params['type']}: {said}")
            case "Runtime.exceptionThrown":
                self.said.append(f"exception: {params['exceptionDetails']}")
            case "Log.entryAdded":
                self.said.append(f"{params['entry']['level']}: {params['entry']['text']}")
            case "Network.requestWillBeSent":
                self.asked.append(params["request"]["url"])


@contextmanager
def open_page(folder: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A tab of a browser of its own, which ends with the block. `folder` takes its profile."""
    if CHROMIUM is None:
        raise BrowserError("needs chromium; on Debian: apt-get install -y chromium")
    theirs_in, ours_out = _pipe()
    ours_in, theirs_out = _pipe()
    # The protocol wants descriptors 3 and 4; bash puts ours there.
    command = [
        "bash", "-c", f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}', CHROMIUM, *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
    ]  # fmt: skip
    browser = subprocess.Popen(
        command,
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        page = Page(ours_in, ours_out)
        page.size(width, height)
        yield page
    finally:
        os.close(ours_out)
        os.close(ours_in)
        browser.terminate()
        browser.wait(timeout=30)


def _pipe() -> tuple[int, int]:
    """A pipe whose ends are beyond 10, so that neither is one that the protocol wants."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high[0], high[1]
