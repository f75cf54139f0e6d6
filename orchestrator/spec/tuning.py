"""Which settings of an arm are tuned: the fields that belong to it, and the values they begin with.

A field applies to every arm whose learner has it, so a file that compares two learners tunes each
by its own. A name with `target.` in front is a field of the target, which an Optuna search may
choose; the learner's own data cannot be tuned away, so `tune` knows learner fields only.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orchestrator.domain.plugin import Plugin, canonical_json
from orchestrator.spec.parts import Arm, Choice, Search, Tunable
from orchestrator.spec.plugins import takes_list
from orchestrator.spec.samplers import SAMPLERS, USUAL, unfit
from orchestrator.spec.wording import Findings, below, note_all, shown, unknown_word

MOST_SETTINGS = 64
"""Settings of one arm that are raced from the start; chosen by hand. More than that are for kind
optuna, which does not try them all."""

TARGET = "target."
"""In front of a field of the target."""


def names_of(fields: Iterable[str], arm: Arm) -> tuple[str, ...]:
    """Those of the fields that the arm has."""
    return tuple(name for name in fields if _field(name, arm) is not None)


def candidates(tune: Mapping[str, Tunable], arm: Arm) -> tuple[dict[str, Any], ...]:
    """The settings that the arm's learner begins with: every combination, as the learner has them.

    One empty setting where nothing of the arm is tuned.
    """
    names = names_of(tune, arm)
    found = {}
    for values in itertools.product(*(tune[name].steps for name in names)):
        setting = as_set(arm, dict(zip(names, values, strict=True)))
        found[canonical_json(setting)] = setting
    return tuple(found.values())


def as_set(arm: Arm, setting: Mapping[str, Choice]) -> dict[str, Any]:
    """The setting with its values as the learner keeps them: 1 becomes 1.0 in a field of floats.

    Raises pydantic's `ValidationError` where the learner refuses them.
    """
    words = json.dumps({**arm.learner.settings, **setting})
    kept = type(arm.learner).model_validate_json(words).settings
    return {name: kept[name] for name in setting}


def _field(name: str, arm: Arm) -> tuple[Plugin, str] | None:
    """The plug-in and the field that `name` means in an arm; None where it has no such field."""
    own = name.removeprefix(TARGET)
    plugin: Plugin = arm.target if name.startswith(TARGET) else arm.learner
    return (plugin, own) if own in _tunable(plugin) else None


def _tunable(plugin: Plugin) -> list[str]:
    fields = type(plugin).model_fields
    return [name for name in fields if name != "kind" and not takes_list(type(plugin), name)]


# Checks


def check_tune(
    arms: Sequence[Arm], tune: Mapping[str, Tunable], search: Search | None, findings: Findings
) -> None:
    """Every tuned field belongs to a learner that takes its values, and there are not too many."""
    if not tune:
        return
    if search is not None and search.kind == "optuna":
        findings.add("tune", "kind optuna chooses `search.fields`; keep one of the two")
    if search is not None and search.aim != "thresholds":
        findings.add("tune", f"tuned thresholds have no aim: {search.aim} yet; leave one of them")
    for name, tunable in tune.items():
        if name.startswith(TARGET):
            findings.add(below("tune", name), "the target is the question; tune learner fields")
        else:
            _check_field(arms, name, tunable.steps, "tune", findings)
    if not findings.touch("tune"):
        for arm in arms:
            _check_settings(arm, tune, findings)
        _check_apart(arms, tune, findings)


def check_fields(arms: Sequence[Arm], search: Search, findings: Findings) -> None:
    """Every field that Optuna chooses belongs to an arm that takes its values; so do settings."""
    for name, tunable in search.fields.items():
        _check_field(arms, name, tunable.ends, "search.fields", findings)
        if tunable.count is not None:
            place = below(below("search.fields", name), "count")
            findings.add(place, "a sampler chooses among all values; a count belongs to `tune`")
    known = SAMPLERS[search.sampler or USUAL]
    for word, value in search.settings.items():
        path = below("search.settings", word)
        if word not in known:
            what = f"{search.sampler or USUAL} takes no settings"
            findings.add(path, unknown_word(word, known, "setting") if known else what)
        elif expected := unfit(known[word], value):
            findings.add(path, f"expected {expected}, found {shown(value)}")
    if search.axes and "n" not in search.axes:
        findings.add("search.axes", "n is sought at each d and k; name n beside them")


def _check_field(
    arms: Sequence[Arm], name: str, values: Sequence[Choice], path: str, findings: Findings
) -> None:
    place = below(path, name)
    having = [found for arm in arms if (found := _field(name, arm)) is not None]
    if not having:
        findings.add(place, _no_such_field(arms, name))
    for plugin, own in having:
        for value in values:
            _check_value(plugin, own, value, place, findings)


def _no_such_field(arms: Sequence[Arm], name: str) -> str:
    own, is_target = name.removeprefix(TARGET), name.startswith(TARGET)
    plugins: list[Plugin] = [arm.target if is_target else arm.learner for arm in arms]
    if any(own in type(plugin).model_fields and own != "kind" for plugin in plugins):
        return f"{own} holds a list, which cannot be tuned"
    kinds = ", ".join(dict.fromkeys(plugin.kind for plugin in plugins))
    known = {field for plugin in plugins for field in _tunable(plugin)}
    return f"{kinds}: {unknown_word(own, known, 'field')}"


def _check_value(plugin: Plugin, own: str, value: Choice, path: str, findings: Findings) -> None:
    try:
        type(plugin).model_validate_json(json.dumps({**plugin.settings, own: value}))
    except ValidationError as error:
        found = Findings()
        note_all(found, error, path, type(plugin))
        findings.once(path, f"{plugin.kind}: {found.faults[0].message}")


def _check_settings(arm: Arm, tune: Mapping[str, Tunable], findings: Findings) -> None:
    count = 1
    for name in names_of(tune, arm):
        count *= len(tune[name].steps)
    if count > MOST_SETTINGS:
        findings.once(
            "tune",
            f"{count:,} settings of {arm.learner.kind}; at most {MOST_SETTINGS} are raced: give "
            "fewer values, or let search.kind: optuna choose among them",
        )
        return
    try:
        candidates(tune, arm)
    except ValidationError as error:
        found = Findings()
        note_all(found, error, "tune", type(arm.learner))
        findings.once("tune", f"{arm.learner.kind}: {found.faults[0].message}")


def _check_apart(arms: Sequence[Arm], tune: Mapping[str, Tunable], findings: Findings) -> None:
    """No two arms become one once their tuned fields are set."""
    seen: dict[str, Arm] = {}
    for arm in arms:
        fixed = {name: value for name, value in arm.learner.settings.items() if name not in tune}
        text = canonical_json([arm.target.identity, fixed])
        if text in seen:
            findings.once(
                "tune",
                f"the arms {seen[text].label} and {arm.label} differ in tuned fields only; "
                "give the values in one place",
            )
        seen[text] = arm
