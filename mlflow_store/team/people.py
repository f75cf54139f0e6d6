"""Let people into a team's store: an account each, and the role of a member.

    python mlflow_store/team/people.py STORE NAME...

Run beside the server, while it runs. A password is made and written to STORE/people/NAME, a file to
be handed over as that person's ~/.mlflow/credentials; nothing secret is printed. A member may make,
change and delete every sweep: whoever goes on with another's has to.
"""

import os
import re
import secrets
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from mlflow.exceptions import MlflowException
from mlflow.server import get_app_client

ROLE = "member"


def main(store: Path, names: Sequence[str]) -> None:
    """Let every one of `names` in. Raises `MlflowException`, as for one that has an account."""
    if wrong := [name for name in names if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII)]:
        raise MlflowException(f"names are letters, digits and . _ -, not {', '.join(wrong)}")
    os.umask(0o077)
    settings = dotenv_values(store / "server.env")
    os.environ["MLFLOW_TRACKING_USERNAME"] = "admin"
    os.environ["MLFLOW_TRACKING_PASSWORD"] = settings["MLFLOW_AUTH_ADMIN_PASSWORD"] or ""
    server = get_app_client("basic-auth", tracking_uri=f"http://127.0.0.1:{settings['PORT']}")
    role = member_role(server)
    (store / "people").mkdir(exist_ok=True)
    for name in names:
        file = store / "people" / name
        let_in(server, name, role, file)
        sys.stdout.write(f"{file}\n")


def let_in(server: Any, name: str, role: int, file: Path) -> None:
    """`name` has an account and the role, and `file` the password; none of it where one fails.

    The file comes first: an account whose password nobody has cannot be used, nor made again.
    Raises `MlflowException`, as for a file that is there.
    """
    password = secrets.token_urlsafe(24)
    with ExitStack() as undo:
        try:
            file.touch(0o600, exist_ok=False)
        except FileExistsError:
            raise MlflowException(
                f"{file} already exists; hand it over to {name}, or move it away if it is of no use"
            ) from None
        undo.callback(file.unlink)
        file.write_text(
            f"[mlflow]\nmlflow_tracking_username = {name}\nmlflow_tracking_password = {password}\n"
        )
        server.create_user(name, password)
        undo.callback(server.delete_user, name)
        server.assign_role(name, role)
        undo.pop_all()


def member_role(server: Any) -> int:
    """The id of the members' role, made where there is none: everything, of every experiment."""
    for role in server.list_all_roles():
        if role.name == ROLE:
            return int(role.id)
    role = server.create_role("default", ROLE)
    server.add_role_permission(role.id, "experiment", "*", "MANAGE")
    return int(role.id)


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: people.py STORE NAME...")
    try:
        main(Path(sys.argv[1]), sys.argv[2:])
    except MlflowException as error:
        sys.exit(error.message)
