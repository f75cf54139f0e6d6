"""A team's store as `mlflow_store/README.md` brings it up: its shell blocks, run as they stand."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.tracking.test_server import free_port, status_of
from tests.tracking.values import own_postgres

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "mlflow_store" / "README.md"
NAME = "mlflow.example.org"


def commands() -> dict[str, str]:
    """The page's shell block under each heading; what needs another machine is marked `console`."""
    found = {}
    for part in re.split(r"^#+ ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        for block in re.findall(r"```sh\n(.*?)```", part, re.DOTALL):
            found[part.partition("\n")[0]] = block
    return found


class Team:
    """The machine on which the page is followed, and what it has running."""

    def __init__(self, home: Path, store: Path) -> None:
        self.store, self.home = store, home
        self.port, self.postgres_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.ledger = f"postgresql+psycopg://phasefront@127.0.0.1:{self.postgres_port}/phasefront"
        self.superuser = ""
        self.log = home / "log"
        self._postgres, self._server = ExitStack(), ExitStack()
        self._blocks = commands()

    def start_postgres(self) -> None:
        """A PostgreSQL with nothing in it."""
        self.superuser = self._postgres.enter_context(own_postgres(self.postgres_port))

    def stop_postgres(self) -> None:
        """It ends, and nothing of it is left."""
        self._postgres.close()

    def say(self, heading: str, **words: str) -> str:
        """What the commands under a heading print."""
        done = subprocess.run(
            self._command(heading),
            env=self.shell | words,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_server(self) -> None:
        """The server answers."""
        self._server.enter_context(self._serving())

    def stop_server(self) -> None:
        """It ends as Ctrl-C ends it."""
        self._server.close()

    def end(self) -> None:
        """Nothing runs."""
        self.stop_server()
        self.stop_postgres()

    @property
    def shell(self) -> dict[str, str]:
        """The environment of whoever follows the page, who is PostgreSQL's superuser already."""
        words = urlsplit(self.superuser)
        (tools,) = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
        return {
            "PATH": f"{Path(sys.executable).parent}:{tools}:/usr/bin:/bin",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "HOME": str(self.home),
            "STORE": str(self.store),
            "NAME": NAME,
            "PORT": str(self.port),
            "PGPORT": str(self.postgres_port),
            "PGHOST": parse_qs(words.query)["host"][0],
            "PGUSER": str(words.username),
            "SUPERUSER": "",
            "MLFLOW_WORKERS": "1",
        }

    def secrets(self) -> list[str]:
        """Every secret that the page has made."""
        lines = (self.store / "server.env").read_text().split()
        found = [line.partition("=")[2] for line in lines if "KEY" in line or "PASSWORD" in line]
        found += [line.rpartition(":")[2] for line in (self.store / "pgpass").read_text().split()]
        return found + [self.password(file.name) for file in self.store.glob("people/*")]

    @property
    def admin(self) -> str:
        """The administrator's password."""
        text = (self.store / "server.env").read_text()
        return text.partition("MLFLOW_AUTH_ADMIN_PASSWORD=")[2].split()[0]

    def password(self, person: str) -> str:
        """What a person was given."""
        return (self.store / "people" / person).read_text().split()[-1]

    def _command(self, heading: str) -> list[str]:
        return ["sh", "-eu", "-c", self._blocks["Settings"] + self._blocks[heading]]

    @contextmanager
    def proxied(self, caddy: str, home: Path) -> Iterator[tuple[int, Path]]:
        """The page's proxy: its port on loopback, and the certificate of who vouches for it.

        It takes port 443 of any machine; here another port of loopback, and a name of its own.
        """
        port = free_port()
        ours = (
            f"{{\nadmin off\nlocal_certs\nskip_install_trust\nauto_https disable_redirects\n"
            f"default_bind 127.0.0.1\nhttps_port {port}\n}}\n"
        )
        theirs = (PAGE.parent / "team" / "Caddyfile").read_text().replace(":443", f":{port}")
        (home / "Caddyfile").write_text(ours + theirs)
        root = home / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        words = [caddy, "run", "--config", home / "Caddyfile", "--adapter", "caddyfile"]
        env = {"NAME": NAME, "PORT": str(self.port), "HOME": str(home), "XDG_DATA_HOME": str(home)}
        with (home / "log").open("w") as log:
            process = subprocess.Popen(words, env=env, cwd=home, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 30.0
            while not (root.exists() and "serving initial" in (home / "log").read_text()):
                assert process.poll() is None, (home / "log").read_text()
                assert time.monotonic() < deadline, (home / "log").read_text()
                time.sleep(0.05)
            yield port, root
        finally:
            process.terminate()
            process.wait(20)

    @contextmanager
    def _serving(self) -> Iterator[None]:
        with self.log.open("a") as log:
            process = subprocess.Popen(
                self._command("Server"),
                env=self.shell,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + 180.0
            while True:
                try:
                    assert status_of(f"{self.url}/health") == 200
                    break
                except OSError:
                    assert process.poll() is None, self.log.read_text()
                    assert time.monotonic() < deadline, self.log.read_text()
                    time.sleep(0.2)
            self.session = process.pid
            yield
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
