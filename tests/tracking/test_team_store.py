"""A team's store, brought up, used, copied and brought back by the commands of its own page.

Real PostgreSQL, a real MLflow server with accounts, real drivers; everything on loopback.
"""

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from orchestrator.tracking.store_check import check_store
from tests.tracking.team import NAME, ROOT, Team
from tests.tracking.team_use import (
    SPEC,
    Person,
    asked,
    copy_of,
    destroyed_and_brought_back,
    in_database,
    through,
)

SEARCH = "/api/2.0/mlflow/experiments/search?max_results=1"
PATHS = [
    SEARCH,
    "/",
    "/version",
    "/get-artifact?path=x&run_uuid=0",
    "/api/2.0/mlflow-artifacts/artifacts",
    "/api/2.0/mlflow/users/current",
    "/ajax-api/2.0/mlflow/experiments/search?max_results=1",
    "/signup",
]
CHANGE = "/api/2.0/mlflow/experiments/create"


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """Everything up to People has been followed; Alice and Bob are let in."""
    home = tmp_path_factory.mktemp("team")
    made = Team(home, home / "store")
    try:
        made.start_postgres()
        made.say("Secrets")
        made.say("Databases")
        made.start_server()
        said = made.say("People", PEOPLE="alice bob")
        assert said.split() == [str(made.store / "people" / name) for name in ("alice", "bob")]
        yield made
    finally:
        made.end()


@pytest.fixture
def person(team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(team, tmp_path, monkeypatch)


def experiments(team: Team) -> set[str]:
    return {row[0] for row in in_database(team, "mlflow", "SELECT name FROM experiments")}


def test_its_people_are_served_under_its_names(team: Team):
    password = team.password("alice")
    assert asked(team, SEARCH, {}, password) == 200
    assert asked(team, SEARCH, {"Host": NAME}, password) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "10.evil.example",
        "192.168.evil.example",
        f"{NAME}.evil.example",
        f"x.{NAME}",
        f"{NAME}:80",
        "127.0.0.1",
        "localhost",
        "10.0.0.1",
        "*",
    ],
)
def test_every_other_name_is_refused_even_with_credentials(team: Team, host: str):
    for path in PATHS:
        if path != "/version":  # exempt, like /health: it tells nothing else
            assert asked(team, path, {"Host": host}, team.password("alice")) == 403, path
    assert asked(team, CHANGE, {"Host": host}, team.password("alice"), change=True) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"https://{NAME}.evil.example"])
def test_what_another_sites_page_asks_to_change_is_refused(team: Team, origin: str):
    headers = {"Origin": origin}
    assert asked(team, CHANGE, headers, team.password("alice"), change=True) == 403
    assert "intruder" not in experiments(team)


@pytest.mark.parametrize("password", [None, "", "wrong", "password1234"])
def test_without_the_right_password_nothing_is_told_or_changed(team: Team, password: str | None):
    assert {path: asked(team, path, {}, password) for path in PATHS} == dict.fromkeys(PATHS, 401)
    assert asked(team, CHANGE, {}, password, change=True) == 401
    assert "intruder" not in experiments(team)


def test_secrets_are_in_files_of_their_owner_only_and_in_no_command_or_log(team: Team):
    files = [team.store / "server.env", team.store / "pgpass", *(team.store / "people").iterdir()]
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    processes = [psutil.Process(team.session), *psutil.Process(team.session).children(True)]
    shown = " ".join(" ".join(process.cmdline()) for process in processes) + team.log.read_text()
    assert "basic-auth" in shown
    assert "huey" not in shown, "jobs are executed"
    assert not [secret for secret in team.secrets() if secret in shown]


@pytest.mark.parametrize("has_file", [True, False])
def test_a_person_who_has_an_account_keeps_it(team: Team, tmp_path: Path, has_file: bool):
    password, file = team.password("alice"), team.store / "people" / "alice"
    if not has_file:
        file.rename(tmp_path / "alice")
    script = ROOT / "mlflow_store" / "team" / "people.py"
    done = subprocess.run(
        [sys.executable, script, team.store, "alice"],
        capture_output=True,
        text=True,
        env=team.shell,
    )
    assert done.returncode == 1
    assert "already exists" in done.stderr
    assert "Traceback" not in done.stderr
    assert file.exists() == has_file
    if not has_file:
        (tmp_path / "alice").rename(file)
    assert team.password("alice") == password
    assert asked(team, SEARCH, {}, password) == 200


def test_nobody_is_half_let_in(team: Team, tmp_path: Path):
    program = f"""
import pathlib, people
server = people.get_app_client("basic-auth", tracking_uri="{team.url}")
try:
    people.let_in(server, "carol", {2**31 - 1}, pathlib.Path("{tmp_path}", "carol"))
except people.MlflowException as error:
    print(error.message)
server.get_user("carol")
"""
    admin = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": team.admin}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "mlflow_store" / "team",
        capture_output=True,
        text=True,
        env=team.shell | admin,
    )
    assert "role" in done.stdout.lower(), done.stderr
    assert "User with username=carol not found" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda store: (store / "server.env").chmod(0o640), "its mode is 640.*chmod 600"),
        (lambda store: (store / "pgpass").chmod(0o644), "its mode is 644.*chmod 600"),
        (lambda store: renamed(store, "*.example.org"), "give one exact name"),
        (lambda store: renamed(store, "a,b"), "give one exact name"),
    ],
)
def test_the_server_does_not_start_with_open_secrets_or_a_pattern_for_a_name(
    team: Team, tmp_path: Path, change, words: str
):
    store = tmp_path / "store"
    store.mkdir()
    for name in ("server.env", "pgpass"):
        shutil.copy(team.store / name, store / name)
    change(store)
    command = ["sh", ROOT / "mlflow_store" / "team" / "serve.sh", store]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert re.search(words, done.stderr)


def renamed(store: Path, name: str) -> None:
    text = (store / "server.env").read_text()
    (store / "server.env").write_text(text.replace(f"NAME={NAME}", f"NAME='{name}'"))


@pytest.mark.parametrize(
    ("who", "words"),
    [
        ((None,), "asks for credentials and none are set"),
        (("alice", "hush-but-wrong"), "does not know user 'alice'"),
    ],
)
def test_a_sweep_that_the_store_refuses_ends_at_once_with_one_error_and_writes_nothing(
    team: Team,
    person: Person,
    who: tuple[str, ...],
    words: str,
    capsys: pytest.CaptureFixture[str],
):
    before = copy_of(team)
    person.is_called(*who)
    started = time.monotonic()
    assert person.runs() == 4
    assert time.monotonic() - started < 5.0
    shown = capsys.readouterr()
    said = [line for line in shown.err.splitlines() if "MLFLOW_TRACKING_USERNAME" in line]
    assert len(said) == 1
    assert words in said[0]
    assert "Traceback" not in shown.err
    assert "hush" not in shown.out + shown.err
    assert copy_of(team) == before
    assert [file.name for file in person.home.iterdir()] == ["shared.yaml"]


def test_the_proxy_serves_its_name_and_nothing_to_other_sites_pages(team: Team, tmp_path: Path):
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("no Caddy: install Debian's caddy")
    words = base64.b64encode(f"alice:{team.password('alice')}".encode()).decode()
    alice = {"Authorization": f"Basic {words}"}
    with team.proxied(caddy, tmp_path) as (port, root):
        statuses = {
            what: through(port, root, SEARCH, headers, method)
            for what, headers, method in (
                ("alice", alice, "GET"),
                ("nobody", {}, "GET"),
                ("her browser", alice | {"Origin": f"https://{NAME}"}, "GET"),
                ("another page reads", alice | {"Origin": "https://evil.example"}, "GET"),
                ("another page changes", alice | {"Origin": "https://evil.example"}, "POST"),
                ("another name", alice | {"Host": "10.evil.example"}, "GET"),
            )
        }
    assert statuses == {
        "alice": 200,
        "nobody": 401,
        "her browser": 200,
        "another page reads": 403,
        "another page changes": 403,
        "another name": 421,
    }


@pytest.fixture(scope="module")
def swept(team: Team, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A team whose store holds a sweep of Alice's."""
    with pytest.MonkeyPatch.context() as patch:
        alice = Person(team, tmp_path_factory.mktemp("alice"), patch)
        alice.is_called("alice", team.password("alice"))
        assert alice.runs() == 0
    return team


def test_a_sweep_is_in_the_ledger_and_in_mlflow(swept: Team):
    (trials,) = in_database(swept, "phasefront", "SELECT count(*) FROM phasefront.trials")[0]
    told = "SELECT count(*) FROM metrics WHERE key = 'trial.outcome'"
    assert trials == 48
    assert in_database(swept, "mlflow", told) == [(trials,)]
    unsent = "SELECT count(*) FROM phasefront.outbox WHERE NOT sent"
    assert in_database(swept, "phasefront", unsent) == [(0,)]
    files = {file.name for file in (swept.store / "artifacts").rglob("*") if file.is_file()}
    assert "report.html" in files


def test_no_secret_is_in_what_was_recorded(swept: Team, tmp_path: Path):
    swept.say("Back up")
    (backup,) = (swept.store / "backups").iterdir()
    plain = b""
    for database in ("mlflow", "phasefront"):
        words = ["pg_restore", "--file=-", backup / f"{database}.dump"]
        plain += subprocess.run(words, capture_output=True, check=True, env=swept.shell).stdout
    plain += (backup / "artifacts.tar").read_bytes()
    assert b"random_labels" in plain
    assert not [secret for secret in swept.secrets() if secret.encode() in plain]
    shutil.rmtree(backup)


def test_a_healthy_store_is_found_healthy_by_somebody_with_a_credentials_file(
    swept: Team, person: Person
):
    (person.home / ".mlflow").mkdir()
    kept = person.home / ".mlflow" / "credentials"
    shutil.copy(swept.store / "people" / "bob", kept)
    found = {one.check: one for one in check_store(swept.url, swept.ledger)}
    assert [one.check for one in found.values() if one.verdict != "ok"] == ["schema"]
    assert found["schema"].verdict == "not checked"
    assert found["auth"].words == "let in as user 'bob', and nobody without credentials"
    assert re.search(r"removed a file in mlflow-artifacts:/", found["artifacts"].words)
    assert "version" in found["ledger"].words
    assert not list((swept.store / "artifacts").rglob("check.txt"))
    kept.chmod(0o644)
    (auth,) = [one for one in check_store(swept.url, swept.ledger) if one.check == "auth"]
    assert (auth.verdict, "chmod 600" in auth.words) == ("wrong", True)


def test_a_store_check_without_credentials_says_what_to_set(swept: Team, person: Person):
    first, *others, ledger = check_store(swept.url, swept.ledger)
    assert (first.check, first.verdict) == ("answer", "wrong")
    assert "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD" in first.words
    assert {one.verdict for one in others} == {"not checked"}
    assert ledger.verdict == "ok"


def test_a_store_that_was_destroyed_comes_back_whole_from_its_copy(swept: Team, person: Person):
    person.is_called("bob", swept.password("bob"))
    answer, trials = person.reads()
    assert len(trials) == 48
    before, backup = copy_of(swept), swept.say("Back up").strip()
    assert destroyed_and_brought_back(swept, backup, person.home / "elsewhere") == before
    assert person.reads() == (answer, trials)
    assert person.reads(ledger=person.home / "none.db") == (answer, trials), "from MLflow"
    assert person.runs() == 0
    assert person.reads() == (answer, trials), "and nothing was trained again"


@pytest.mark.slow
def test_a_copy_made_while_a_sweep_runs_goes_on_to_the_same_answer(team: Team, person: Person):
    person.is_called("admin", team.admin)
    wide = SPEC.replace("d: 3, n: [3, 6, 9]", "d: [20, 30, 40], n: [30, 40, 50, 60, 70, 80, 90]")
    (person.home / "shared.yaml").write_text(wide.replace("repeats: 16", "repeats: 32"))
    counted = "SELECT count(*) FROM metrics WHERE key = 'trial.outcome'"
    (before,) = in_database(team, "mlflow", counted)[0]
    program = "from orchestrator.cli import main; main()"
    words = ["--in-process", "--store", person.place.store, "--ledger", str(person.place.ledger)]
    driver = subprocess.Popen(
        [sys.executable, "-c", program, "run", "shared.yaml", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    try:
        while in_database(team, "mlflow", counted)[0][0] < before + 32:
            assert driver.poll() is None
            time.sleep(0.02)
        backup = team.say("Back up").strip()
        assert driver.wait(120) == 0
    finally:
        driver.kill()
        driver.wait()
    answer, trials = person.reads()
    assert len(trials) == 672

    partial = destroyed_and_brought_back(team, backup, person.home / "elsewhere")
    told = [rows for name, (rows, _) in partial.tables.items() if name == "mlflow.public.metrics"]
    assert 32 <= told[0] // 4 < 672, "the copy is of a sweep half told"
    assert person.runs() == 0
    again, retold = person.reads()
    assert again["arms"] == answer["arms"]
    assert {key: one[:2] for key, one in retold.items()} == {
        key: one[:2] for key, one in trials.items()
    }
    assert person.reads(ledger=person.home / "none.db") == (again, retold), "MLflow's are the same"
    assert in_database(team, "mlflow", counted) == [(before + 672,)], "each once"


def test_the_compose_file_does_what_the_page_does():
    text = (ROOT / "mlflow_store" / "team" / "compose.yaml").read_text()
    services = yaml.safe_load(text)["services"]
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert sorted(published) == ["127.0.0.1:5432:5432", "443:443"]
    assert services["mlflow"]["command"] == ["sh", "/team/serve.sh", "/store"]
    assert {services[name]["network_mode"] for name in ("mlflow", "caddy")} == {"service:postgres"}
    pins = dict(re.findall(r"'(\w+)\[\w+\]==([\d.]+)'", text))
    locked = (ROOT / "constraints.txt").read_text().splitlines()
    assert set(pins) == {"mlflow", "psycopg"}
    assert all(f"{name}=={number}" in locked for name, number in pins.items())
    told = [words for one in services.values() for words in one.get("environment", {}).items()]
    assert not [name for name, _ in told if "PASSWORD" in name and not name.endswith("_FILE")]
