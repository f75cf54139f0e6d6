"""A commented experiment file to start from."""

from importlib import resources

from orchestrator.errors import Fault, SpecError
from orchestrator.spec.parts import check_name


def new_file(name: str) -> str:
    """The text of a file that runs as it is, with that name. Raises `SpecError`."""
    try:
        check_name(name)
    except ValueError as error:
        raise SpecError([Fault(str(error), path="name")]) from None
    text = resources.files("orchestrator.spec").joinpath("template.yaml").read_text("utf-8")
    word = name if _is_plain_text(name) else f'"{name}"'
    return text.replace("name: NAME", f"name: {word}")


def _is_plain_text(name: str) -> bool:
    """Whether YAML reads the bare name as text; `1e3` and `true` are names as well."""
    return name[0].isalpha() and name.lower() not in ("true", "false", "null")
