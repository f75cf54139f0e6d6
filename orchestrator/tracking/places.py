"""Where things are kept: from what a person typed to the store's and the ledger's addresses."""

import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.errors import RequestError

DEFAULT_FOLDER = "mlflow_store"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Store:
    """An MLflow store: its tracking URI, and for a local one its folder."""

    uri: str
    folder: Path | None = None

    @property
    def artifacts(self) -> str | None:
        """Where new experiments keep artifacts; None leaves it to the server."""
        return None if self.folder is None else (self.folder / "artifacts").as_uri()

    @property
    def checkpoints(self) -> Path | None:
        """Where long trials save where they stand; None where workers share no folder.

        Experiments' own folders beside it begin with a letter or digit.
        """
        named = os.environ.get("PHASEFRONT_CHECKPOINTS")
        if named:
            return Path(named).expanduser().resolve()
        return None if self.folder is None else self.folder / "artifacts" / ".checkpoints"

    @property
    def lessons(self) -> Path | None:
        """Where what trials taught is kept for all later sweeps; None where workers share no
        folder, and hand it to each other only.
        """
        named = os.environ.get("PHASEFRONT_LESSONS")
        if named:
            return Path(named).expanduser().resolve()
        return None if self.folder is None else self.folder / "artifacts" / ".lessons"


def store_at(text: str) -> Store:
    """The store that `text` names: a folder, `sqlite:///path/mlflow.db`, or `http(s)://host`.

    Raises `RequestError` for any other scheme, and for an address that holds a password: everybody
    on the machine may read it there, and so may whoever reads what is printed.
    """
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme in ("http", "https"):
        if "@" in urlsplit(text).netloc:
            raise RequestError(
                f"store {without_password(text)}: leave user and password out of the address, and "
                "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )
        return Store(text.rstrip("/"))
    if scheme == "sqlite":
        path = _sqlite_path(text)
        return Store(f"sqlite:///{path}", path.parent)
    if scheme == "file":
        text, scheme = unquote(urlsplit(text).path), ""
    if scheme or not text:
        raise RequestError(
            f"store {without_password(text)!r}: give a folder, sqlite:///path/mlflow.db or "
            "http(s)://host:port"
        )
    folder = Path(text).expanduser().resolve()
    return Store(f"sqlite:///{folder / 'mlflow.db'}", folder)


def ledger_at(text: str | None, store: Store) -> str:
    """The SQLAlchemy URL of the ledger that `text` names, by default beside a local store.

    A remote store without a named ledger uses `mlflow_store/ledger.db`, and the log says so.
    Raises `RequestError` for any scheme but sqlite and postgresql.
    """
    if not text:
        if store.folder is not None:
            return f"sqlite:///{store.folder / 'ledger.db'}"
        path = Path(DEFAULT_FOLDER, "ledger.db").resolve()
        log.warning("the ledger of remote store %s is kept in %s", store.uri, path)
        return f"sqlite:///{path}"
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        return "postgresql+psycopg" + text[len(scheme) :]
    if scheme == "sqlite":
        return f"sqlite:///{_sqlite_path(text)}"
    if scheme:
        raise RequestError(
            f"ledger {without_password(text)!r}: give a file, sqlite:///path or postgresql://…"
        )
    path = Path(text).expanduser().resolve()
    return f"sqlite:///{path / 'ledger.db' if path.is_dir() else path}"


def without_password(address: str) -> str:
    """The address with *** for its passwords, for people to read.

    They stand before the host or in the query (`?user=me&password=…`). Rather too much is hidden
    than too little: an unescaped / or @ may be part of a password.
    """
    hidden = re.sub(r"(?<=://)([^:/?#@]*:).*@", r"\1***@", address)
    return re.sub(r"(?<=[?&])([^=&]*password=)[^&]*", r"\1***", hidden, flags=re.IGNORECASE)


def _sqlite_path(text: str) -> Path:
    path = text.removeprefix("sqlite://").removeprefix("/")
    if not path or path == ":memory:":
        raise RequestError(f"{text!r} names no file; write sqlite:///path/to/file.db")
    return Path(path).expanduser().resolve()
