"""A headless Chromium, driven over its DevTools protocol."""

import asyncio
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import aiohttp

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--window-size=1600,1200", "--remote-debugging-port=0",
)  # fmt: skip

_OF_OTHERS = ".worker.js"
"""The page asks for it, and its worker hears the answer."""

SEARCH = "mlflow/runs/search"
START_S, LOOK_S, QUIET_S, PATIENCE_S = 30.0, 0.02, 0.25, 120.0


@dataclass
class Request:
    """A request of a page: its method and path, when it was sent, and how long it took."""

    words: str
    sent: float
    seconds: float | None = None
    bytes: float = 0.0


@dataclass
class Shown:
    """A page that is there: seconds until it was, what it reads, and its requests to MLflow."""

    seconds: float
    text: str
    requests: list[Request] = field(default_factory=list)
    said: list[str] = field(default_factory=list)


class Chromium:
    """A browser with one page, from `async with` on."""

    def __init__(self) -> None:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        if found is None:
            raise RuntimeError("needs chromium; on Debian: apt-get install -y chromium")
        self._home = Path(tempfile.mkdtemp(prefix="browse-"))
        command = [found, *FLAGS, f"--user-data-dir={self._home}", "about:blank"]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet)
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._requests: dict[str, Request] = {}
        self._said: list[str] = []
        self._changed = 0.0

    async def __aenter__(self) -> "Chromium":
        self._http = aiohttp.ClientSession()
        self._socket = await self._http.ws_connect(await self._address(), max_msg_size=0)
        self._reader = asyncio.create_task(self._read())
        for domain in ("Page", "Network", "Runtime"):
            await self._call(f"{domain}.enable")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._reader.cancel()
        await self._socket.close()
        await self._http.close()
        self._process.terminate()
        self._process.wait(START_S)
        shutil.rmtree(self._home, ignore_errors=True)

    async def open(self, address: str, holds: str) -> Shown:
        """Go to an address by a full load; see `until`."""
        await self._call("Page.navigate", url="about:blank")
        await asyncio.sleep(QUIET_S)
        self._forget()
        began = time.monotonic()
        await self._call("Page.navigate", url=address)
        return await self.until(holds, began)

    async def search(self, text: str, holds: str) -> Shown:
        """Type into what has the focus, and press Enter; see `until`."""
        self._forget()
        await self._call("Input.insertText", text=text)
        began = time.monotonic()
        key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
        for kind in ("keyDown", "keyUp"):
            await self._call("Input.dispatchKeyEvent", type=kind, **key)
        return await self.until(holds, began)

    async def until(self, holds: str, began: float) -> Shown:
        """The page once the expression `holds` holds, runs were asked for and requests are over.

        The time is that of the last change: of the expression, or of a request that ended.
        """
        held: float | None = None
        while time.monotonic() - began < PATIENCE_S:
            now = time.monotonic()
            is_so = await self.evaluate(f"Boolean({holds})")
            held = (held or now) if is_so else None
            flying = [one for one in self._requests.values() if one.seconds is None]
            asked = any(SEARCH in one.words for one in self._requests.values())
            if held and asked and not flying and now - max(held, self._changed) > QUIET_S:
                seconds = max(held, self._changed) - began
                text = await self.evaluate("document.body.innerText")
                return Shown(seconds, str(text), list(self._requests.values()), list(self._said))
            await asyncio.sleep(LOOK_S)
        text = await self.evaluate("document.body.innerText")
        raise TimeoutError(f"{holds} does not come to hold; the page reads:\n{str(text)[-1500:]}")

    async def evaluate(self, script: str) -> Any:
        """What the script gives, awaited where it is a promise; None where it fails."""
        found = await self._call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        return found["result"].get("value")

    def _forget(self) -> None:
        self._requests.clear()
        self._said.clear()
        self._changed = 0.0

    async def _address(self) -> str:
        """Of the page's socket; the port is written to a file once it listens."""
        file, until = self._home / "DevToolsActivePort", time.monotonic() + START_S
        while not file.exists() or "\n" not in file.read_text():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("chromium does not start")
            await asyncio.sleep(0.05)
        port = file.read_text().split("\n")[0]
        async with self._http.get(f"http://127.0.0.1:{port}/json/list") as reply:
            pages = await reply.json(content_type=None)
        return str(next(one["webSocketDebuggerUrl"] for one in pages if one["type"] == "page"))

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        coming = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": params}))
        answer = await asyncio.wait_for(coming, PATIENCE_S)
        del self._answers[number]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                waiting = self._answers.get(told["id"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(told)
            else:
                self._hear(told["method"], told["params"])

    def _hear(self, event: str, told: dict[str, Any]) -> None:
        now = time.monotonic()
        if event == "Network.requestWillBeSent":
            place = urlsplit(told["request"]["url"])
            if place.scheme == "http" and not place.path.endswith(_OF_OTHERS):
                words = f"{told['request']['method']} {place.path}"
                self._requests[told["requestId"]] = Request(words, now)
        elif event in ("Network.loadingFinished", "Network.loadingFailed"):
            one = self._requests.get(told["requestId"])
            if one is not None:
                one.seconds, one.bytes = now - one.sent, told.get("encodedDataLength", 0.0)
                self._changed = now
        elif event == "Runtime.exceptionThrown":
            self._said.append(told["exceptionDetails"].get("text", "an exception"))
        elif event == "Runtime.consoleAPICalled" and told["type"] == "error":
            self._said.append(" ".join(str(one.get("value", "")) for one in told["args"]))
