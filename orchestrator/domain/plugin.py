"""Plug-ins: targets and learners as frozen settings with behaviour.

Subclassing with a `kind` is the registration. The folders `targets/` and `learners/` are scanned;
plug-ins from elsewhere come from installed entry points (`phasefront.plugins`) or from a file that
the person who runs the sweep names.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
import json
import pkgutil
import sys
import types
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.errors import PluginError

ENTRY_POINTS = "phasefront.plugins"

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: Any) -> str:
    """Equal values give equal text: sorted keys, no spaces, shortest floats, ASCII; no nan."""
    return _CANONICAL.encode(value)


class Plugin(BaseModel):
    """Settings of one target or learner. Every field has a default; unknown fields are refused.

    `revision` is part of every trial's key: raise it when behaviour changes, so that old results
    are kept and new ones computed.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, protected_namespaces=()
    )

    kind: str
    revision: ClassVar[int] = 1
    kinds: ClassVar[dict[str, type["Plugin"]]]
    family: ClassVar[str]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        kind = cls.model_fields["kind"].default
        if not isinstance(kind, str):  # a base class, such as Target or LoopedLearner
            return
        known = cls.kinds.get(kind)
        if known is not None and known.__module__ != cls.__module__:
            raise PluginError(
                f"{cls.family} kind {kind!r} is defined by both {known.__module__} and "
                f"{cls.__module__}; rename one of them"
            )
        cls.kinds[kind] = cls

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every field as plain JSON values, `kind` among them."""
        return self.model_dump(mode="json")

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a trial's key hashes of this plug-in: its settings and its revision."""
        return {**self.settings, "revision": self.revision}

    @cached_property
    def canonical(self) -> str:
        """`identity` as canonical JSON: equal text exactly for plug-ins that behave alike."""
        return canonical_json(self.identity)

    @cached_property
    def label(self) -> str:
        """The kind, with the settings that differ from their defaults: `two_layer(width=64)`."""
        changed = [
            f"{name}={getattr(self, name)}"
            for name, field in type(self).model_fields.items()
            if name != "kind" and getattr(self, name) != field.default
        ]
        return f"{self.kind}({', '.join(changed)})" if changed else self.kind

    @classmethod
    def kind_named(cls, kind: str) -> type[Self]:
        """The plug-in class of that kind. Raises `PluginError` with the nearest known kind."""
        scan()
        found = cls.kinds.get(kind)
        if found is None:
            raise PluginError(unknown(f"{cls.family} kind", kind, cls.kinds))
        return found  # type: ignore[return-value]

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """The plug-in those settings describe; the inverse of `settings`.

        Raises `PluginError` when the kind is unknown or a field does not fit.
        """
        chosen = cls.kind_named(str(settings.get("kind")))
        try:
            return chosen.model_validate_json(json.dumps(dict(settings)))
        except ValidationError as error:
            raise PluginError(f"{cls.family} {settings.get('kind')}: {error}") from error


def unknown(what: str, found: str, known: Mapping[str, Any]) -> str:
    """The words for a name that is not known: the nearest one, and all of them."""
    near = difflib.get_close_matches(found, list(known), n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {what} {found!r}; {hint}known: {', '.join(sorted(known))}"


def scan() -> None:
    """Import every module of `targets/` and `learners/`, so that every built-in kind is known."""
    for room in ("targets", "learners"):
        package = importlib.import_module(f"orchestrator.domain.{room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


def load_entry_points() -> None:
    """Import every module that installed distributions offer under `phasefront.plugins`.

    Raises `PluginError` that names the entry point which cannot be imported.
    """
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            raise PluginError(f"entry point {entry.name} ({entry.value}): {error}") from error


def load_file(path: Path) -> tuple[str, str]:
    """Run a plug-in file; return its module name and source, which is what a worker needs.

    Raises `PluginError` when the file cannot be read or does not run.
    """
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"{path}: cannot read the plug-in file: {error}") from error
    if not path.stem.isidentifier():
        raise PluginError(f"{path}: a plug-in file is named like a Python module, such as mine.py")
    load_source(path.stem, source, filename=str(path))
    return path.stem, source


def load_source(name: str, source: str, filename: str = "") -> None:
    """Run plug-in source once per process under `phasefront_plugins.<name>`.

    Raises `PluginError` when it does not run, or when other source already has that name.
    """
    full = f"phasefront_plugins.{name}"
    present = sys.modules.get(full)
    if present is not None:
        if present.__dict__.get("__phasefront_source__") != source:
            raise PluginError(f"two different plug-in files are both named {name}.py; rename one")
        return
    module = types.ModuleType(full)
    module.__file__ = filename or f"<plug-in {name}.py>"
    module.__dict__["__phasefront_source__"] = source
    sys.modules[full] = module
    try:
        exec(compile(source, module.__file__, "exec"), module.__dict__)
    except Exception as error:
        del sys.modules[full]
        raise PluginError(f"{module.__file__}: {type(error).__name__}: {error}") from error
