"""One short request to an MLflow server, signed as MLflow's own client signs it.

MLflow takes seconds to load and minutes to give up, so whether a server answers, and to whom, is
asked without it.
"""

import base64
import configparser
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.errors import TrackerUnreachable

EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"
"""Answered 200 to everybody who may use a server at all, whatever they may see."""

SET_THEM = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, "
    "or write ~/.mlflow/credentials"
)

KEPT = ("mlflow_tracking_username", "mlflow_tracking_password")


@dataclass(frozen=True)
class Credentials:
    """Who asks: a user with a password, else the bearer of a token, else nobody.

    Found where MLflow's client finds them: the environment, then `~/.mlflow/credentials`.
    """

    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def found(cls) -> "Credentials":
        """As they are now. Raises `TrackerUnreachable` for a file that MLflow cannot read.

        It is looked at even where the environment says all: MLflow's client does, and fails on it.
        """
        kept = _kept(credentials_file())
        return cls(
            os.environ.get("MLFLOW_TRACKING_USERNAME") or kept.get("mlflow_tracking_username"),
            os.environ.get("MLFLOW_TRACKING_PASSWORD") or kept.get("mlflow_tracking_password"),
            os.environ.get("MLFLOW_TRACKING_TOKEN"),
        )

    @property
    def header(self) -> str | None:
        """What signs a request; None for nobody. A user without a password is nobody."""
        if self.user and self.password:
            words = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return f"Basic {words}"
        return f"Bearer {self.token}" if self.token else None

    @property
    def who(self) -> str:
        """In words, without secrets."""
        if self.user and self.password:
            return f"user {self.user!r}"
        return "the bearer of MLFLOW_TRACKING_TOKEN" if self.token else "nobody"


def credentials_file() -> Path:
    """Where MLflow's client looks for credentials that the environment does not hold."""
    return Path("~/.mlflow/credentials").expanduser()


def _kept(file: Path) -> Mapping[str, str]:
    """What MLflow's client reads there, in its way: a % in a value is written %%.

    What configparser says of a fault repeats the line, and the line may hold a password.
    """
    parser = configparser.ConfigParser()
    try:
        parser.read(file, encoding="utf-8")
        has = [name for name in KEPT if parser.has_option("mlflow", name)]
        return {name: parser.get("mlflow", name) for name in has}
    except configparser.InterpolationError as error:
        wrong = f"write every % in {error.option} as %%"
    except (configparser.Error, UnicodeDecodeError):
        wrong = f"below [mlflow] it takes a line each for {' and '.join(KEPT)}"
    raise TrackerUnreachable(
        f"{file}: MLflow's client cannot read it, and so fails even where the environment holds "
        f"credentials; {wrong}"
    )


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def complaint(self, uri: str) -> str:
        """Why this is no answer of a store that can be used, and what to do; "" for one that is."""
        if self.status == 200:
            return ""
        if self.status == 401:
            return _unknown(Credentials.found())
        if self.status == 403 and b"Invalid Host header" in self.body:
            return (
                f"the MLflow server is not known by this name (HTTP 403); add "
                f"{urlsplit(uri).netloc} to its --allowed-hosts"
            )
        if self.status == 403:
            return (
                f"the MLflow server refuses {Credentials.found().who} (HTTP 403); {SET_THEM}, of "
                "somebody whom its administrator has let in"
            )
        if self.status in (301, 302, 307, 308):
            elsewhere = self.headers.get("location", "elsewhere")
            return f"sends on to {elsewhere.partition('/api/')[0]}; give that as --store"
        if self.status == 404:
            return "what answers there is no MLflow server (HTTP 404); give another --store"
        return f"the MLflow server answers HTTP {self.status}; see its log"


def _unknown(asking: Credentials) -> str:
    if asking.header is None:
        half = "no password is" if asking.user else "none are"
        return f"the MLflow server asks for credentials and {half} set (HTTP 401); {SET_THEM}"
    return (
        f"the MLflow server does not know {asking.who} with this secret (HTTP 401); {SET_THEM}, "
        "as its administrator gave them"
    )


def ask(
    uri: str,
    path: str,
    within_s: float,
    signed: bool = True,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """What the server at `uri` answers to a GET of `path`, whatever its status.

    Nothing is followed elsewhere, so that credentials go to `uri` alone. Raises
    `TrackerUnreachable` when nothing answers in time.
    """
    request = urllib.request.Request(uri + path, headers=dict(headers or {}))
    signature = Credentials.found().header if signed else None
    if signature:
        request.add_header("Authorization", signature)
    try:
        opener = urllib.request.build_opener(
            _Stay, urllib.request.HTTPSHandler(context=_certificates())
        )
        try:
            with opener.open(request, timeout=within_s) as answer:
                return _reply(answer.status, answer)
        except urllib.error.HTTPError as error:
            with error:
                return _reply(error.code, error)
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise TrackerUnreachable(
            f"{uri}: no MLflow server answers within {within_s:.0f} s ({reason}); start it, or "
            "give another --store"
        ) from error


def _reply(status: int, answer: Any) -> Reply:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(status, answer.read(), headers)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *request: object) -> None:
        """Follow nothing: the redirection is the answer."""


def _certificates() -> ssl.SSLContext:
    """Whom to believe, said in MLflow's own variables."""
    context = ssl.create_default_context(
        cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None
    )
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
