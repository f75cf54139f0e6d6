"""A commented experiment file to start from."""

from importlib import resources

from orchestrator.errors import Fault, SpecError
from orchestrator.spec.parts import NAME
from orchestrator.spec.wording import quoted


def new_file(name: str) -> str:
    """The text of a file that runs as it is, with that name. Raises `SpecError`."""
    if not NAME.fullmatch(name):
        raise SpecError(
            [
                Fault(
                    f"expected up to 64 letters, digits, '.', '_' or '-', the first a letter or "
                    f"digit; found {quoted(name)}",
                    path="name",
                )
            ]
        )
    text = resources.files("orchestrator.spec").joinpath("template.yaml").read_text("utf-8")
    word = name if _is_plain_text(name) else f'"{name}"'
    return text.replace("name: NAME", f"name: {word}")


def _is_plain_text(name: str) -> bool:
    """Whether YAML reads the bare name as text; `1e3` and `true` are names as well."""
    return name[0].isalpha() and name.lower() not in ("true", "false", "null")
