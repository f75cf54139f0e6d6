"""Targets and learners as a file writes them, and the arms that lists of them make.

A plug-in's words are its fields. A list for a field that holds no list makes arms, one per value,
in the order of the fields' declaration: `learner: {kind: two_layer, width: [64, 256]}`.
"""

import itertools
import json
from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from pydantic import ValidationError

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin, canonical_json, scan
from orchestrator.domain.target import Target
from orchestrator.spec.parts import Arm
from orchestrator.spec.wording import Findings, below, note_all, quoted, shown, unknown_word

MOST_ARMS = 1000
"""Arms of one file; chosen by hand."""

_P = TypeVar("_P", bound=Plugin)


def read_arms(words: dict[str, Any], findings: Findings) -> tuple[Arm, ...] | None:
    """Arms from `target` and `learner`, or from `pairs`; None where a finding says why."""
    scan()
    pairs = _listed_pairs(words, findings) if "pairs" in words else _all_pairs(words, findings)
    if findings.touch("target", "learner", "pairs"):
        return None
    if len(pairs) > MOST_ARMS:
        findings.add("learner", f"{len(pairs):,} arms; a file has at most {MOST_ARMS:,}")
        return None
    arms = tuple(Arm(index, target, learner) for index, (target, learner) in enumerate(pairs))
    _check_distinct(arms, findings)
    return arms


def _listed_pairs(words: dict[str, Any], findings: Findings) -> list[tuple[Target, Learner]]:
    for word in ("target", "learner"):
        if word in words:
            findings.add(word, f"{word} and pairs both say which arms there are; keep one")
    listed = words["pairs"]
    if not isinstance(listed, list) or not listed:
        findings.add("pairs", f"expected a list of {{target, learner}}, found {_emptily(listed)}")
        return []
    found: list[tuple[Target, Learner]] = []
    for place, pair in enumerate(listed):
        path = below("pairs", place)
        if not isinstance(pair, dict):
            findings.add(path, f"expected a mapping of target and learner, found {shown(pair)}")
            continue
        for word in set(pair) - {"target", "learner"}:
            findings.add(below(path, word), unknown_word(word, ("target", "learner")))
        found += _all_pairs(pair, findings, path)
    return found


def _all_pairs(
    words: dict[str, Any], findings: Findings, path: str = ""
) -> list[tuple[Target, Learner]]:
    targets = _read_side(Target, words, path, findings)
    learners = _read_side(Learner, words, path, findings)
    if len(targets) * len(learners) > MOST_ARMS:
        count = len(targets) * len(learners)
        findings.add(below(path, "learner"), f"{count:,} arms; a file has at most {MOST_ARMS:,}")
        return []
    return list(itertools.product(targets, learners))


def _read_side(base: type[_P], words: dict[str, Any], path: str, findings: Findings) -> list[_P]:
    place = below(path, base.family)
    if base.family not in words:
        findings.add(place, f"missing: a {base.family}, such as {{kind: {min(base.kinds)}}}")
        return []
    found = words[base.family]
    if not isinstance(found, list):
        return _read_one(base, found, place, findings)
    if not found:
        findings.add(place, f"an empty list; name at least one {base.family}")
    return [
        plugin
        for index, one in enumerate(found)
        for plugin in _read_one(base, one, below(place, index), findings)
    ]


def _read_one(base: type[_P], found: Any, path: str, findings: Findings) -> list[_P]:
    if isinstance(found, base):
        return [found]
    if not isinstance(found, dict):
        hint = (
            f"; write {{kind: {found}}}" if isinstance(found, str) and found in base.kinds else ""
        )
        findings.add(path, f"expected a mapping with a kind, found {shown(found)}{hint}")
        return []
    chosen = _kind(base, found, path, findings)
    if chosen is None:
        return []
    return _one_per_value(chosen, found, path, findings)


def _kind(base: type[_P], found: dict[str, Any], path: str, findings: Findings) -> type[_P] | None:
    place = below(path, "kind")
    if "kind" not in found:
        findings.add(place, f"missing; known kinds: {', '.join(sorted(base.kinds))}")
        return None
    kind = found["kind"]
    if not isinstance(kind, str):
        findings.add(place, f"expected the name of a {base.family}, found {shown(kind)}")
        return None
    if kind not in base.kinds:
        findings.add(place, unknown_word(kind, base.kinds, "kind"))
        return None
    chosen: type[_P] = base.kinds[kind]  # type: ignore[assignment]
    return chosen


def _one_per_value(
    chosen: type[_P], found: dict[str, Any], path: str, findings: Findings
) -> list[_P]:
    swept = [name for name in chosen.model_fields if _makes_arms(chosen, name, found.get(name))]
    for name in swept:
        if not found[name]:
            findings.add(below(path, name), "an empty list makes no arms")
            return []
    count = 1
    for name in swept:
        count *= len(found[name])
    if count > MOST_ARMS:
        findings.add(path, f"{count:,} arms; a file has at most {MOST_ARMS:,}")
        return []
    built = [
        _built(chosen, found, dict(zip(swept, places, strict=True)), path, findings)
        for places in itertools.product(*(range(len(found[name])) for name in swept))
    ]
    return [plugin for plugin in built if plugin is not None]


def _makes_arms(chosen: type[Plugin], name: str, value: Any) -> bool:
    return isinstance(value, list) and name != "kind" and not takes_list(chosen, name)


@cache
def takes_list(chosen: type[Plugin], name: str) -> bool:
    """Whether the field itself holds a list, as its JSON Schema says."""
    field = chosen.model_json_schema()["properties"].get(name, {})
    return any(one.get("type") == "array" for one in (field, *field.get("anyOf", ())))


def _built(
    chosen: type[_P], found: dict[str, Any], places: dict[str, int], path: str, findings: Findings
) -> _P | None:
    """The plug-in with each swept field at its place in its list."""
    settings = {**found, **{name: found[name][place] for name, place in places.items()}}
    try:
        # As JSON, so that strict fields take a list for a tuple and text for an enumeration.
        return chosen.model_validate_json(json.dumps(settings))
    except ValidationError as error:
        _note_built(error, chosen, places, path, findings)
    except (TypeError, ValueError) as error:
        findings.once(path, f"holds something other than plain values: {error}")
    return None


def _note_built(
    error: ValidationError,
    chosen: type[Plugin],
    places: dict[str, int],
    path: str,
    findings: Findings,
) -> None:
    one = Findings()
    note_all(one, error, path, chosen)
    for fault in one.faults:
        place = fault.path
        for name, index in places.items():
            if place == below(path, name):
                place = below(place, index)
        findings.once(place, fault.message)


def _check_distinct(arms: Sequence[Arm], findings: Findings) -> None:
    seen: dict[str, Arm] = {}
    for arm in arms:
        text = canonical_json([arm.target.identity, arm.learner.identity])
        if text in seen:
            findings.add("learner", f"the arm {quoted(arm.label)} stands twice; remove one")
            return
        seen[text] = arm


def _emptily(found: object) -> str:
    return "an empty list" if found == [] else shown(found)
