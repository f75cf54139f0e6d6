"""JSON Schema of the experiment file, for editors: words, types, and what each is for.

It describes YAML, TOML and JSON alike. It is a guide while typing; `load` is the judge, and checks
more: what measures a pair reports, what an expression is worth, whether k fits d.
"""

from collections.abc import Sequence
from typing import Any, get_args

from orchestrator.domain.learner import Learner
from orchestrator.domain.plugin import Plugin, scan
from orchestrator.domain.target import Target
from orchestrator.spec.axes import MOST_COUNT
from orchestrator.spec.model import WORDS
from orchestrator.spec.parts import NAME, Criterion, Head, Resources, Search
from orchestrator.spec.plugins import takes_list
from orchestrator.spec.samplers import SAMPLERS
from orchestrator.spec.theory import THEORY_KINDS, ThresholdStatus

Schema = dict[str, Any]


def json_schema() -> Schema:
    """The schema, draft 2020-12, with every kind of target and learner known now."""
    scan()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Phasefront experiment",
        "type": "object",
        "additionalProperties": False,
        "required": ["name", "axes", "success"],
        "anyOf": [{"required": ["target", "learner"]}, {"required": ["pairs"]}],
        "properties": {word: _described(word) for word in WORDS},
        "$defs": {
            "target": _side(Target),
            "learner": _side(Learner),
            "value": _value(),
            "axis": _axis(["count"]),
            "n_axis": _axis([]),
            "theory": _theory(),
        },
    }


def _described(word: str) -> Schema:
    return {**_word(word), "description": WORDS[word]}


def _word(word: str) -> Schema:
    if word in ("target", "learner"):
        return _one_or_many({"$ref": f"#/$defs/{word}"})
    if word == "theory":
        return _one_or_many({"$ref": "#/$defs/theory"}, fewest=0)
    if word == "pairs":
        return _list_of(_mapping({side: _word(side) for side in ("target", "learner")}))
    if word == "axes":
        return _axes()
    if word == "name":
        return {"type": "string", "pattern": f"^{NAME.pattern}$"}
    if word == "search":
        return _search()
    if word == "tune":
        return _tunables("learner fields to tune, each a list of values or a range", ["count"])
    if word in ("success", "resources"):
        return _plain((Criterion if word == "success" else Resources).model_json_schema())
    return _plain(Head.model_json_schema()["properties"][word])


def _one_or_many(one: Schema, fewest: int = 1) -> Schema:
    return {"anyOf": [one, _list_of(one, fewest)]}


def _list_of(one: Schema, fewest: int = 1) -> Schema:
    return {"type": "array", "items": one, "minItems": fewest}


def _mapping(properties: Schema, required: list[str] | None = None) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


def _plain(schema: Schema) -> Schema:
    """Without the titles and docstrings that pydantic adds, which editors would show as names."""
    return {
        key: _plain(value) if isinstance(value, dict) else value
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "description" and "properties" in schema)
    }


def _side(base: type[Plugin]) -> Schema:
    return {"oneOf": [_kind(base.kinds[kind]) for kind in sorted(base.kinds)]}


def _kind(plugin: type[Plugin]) -> Schema:
    schema = plugin.model_json_schema()
    properties = {
        name: _plain(field) if takes_list(plugin, name) else _swept(field)
        for name, field in schema["properties"].items()
    }
    properties["kind"] = {"const": plugin.model_fields["kind"].default}
    summary = (plugin.__doc__ or "").strip().splitlines()
    kind = _mapping(properties, ["kind"])
    definitions = {"$defs": schema["$defs"]} if "$defs" in schema else {}
    return {**kind, **definitions, "description": summary[0] if summary else ""}


def _swept(field: Schema) -> Schema:
    """A field, or a list of its values, which makes arms."""
    plain = _plain(field)
    told: Schema = {key: plain.pop(key) for key in ("description", "default") if key in plain}
    return {**_one_or_many(plain), **told}


def _value() -> Schema:
    return {
        "description": "a number, or an expression of other axes: + - * / ** log sqrt floor ceil "
        "round min max comb",
        "type": ["number", "string"],
    }


def _axis(required: list[str]) -> Schema:
    value = {"$ref": "#/$defs/value"}
    span = {
        "low": value,
        "high": value,
        "count": {"type": "integer", "minimum": 2, "maximum": MOST_COUNT},
        "spacing": {"enum": ["linear", "log"], "default": "linear"},
    }
    return {"anyOf": [value, _list_of(value), _mapping(span, ["low", "high", *required])]}


def _axes() -> Schema:
    axis, values = {"$ref": "#/$defs/axis"}, _list_of({"$ref": "#/$defs/value"})
    whole = {"type": "integer", "minimum": 1}
    pair = {"type": "array", "items": whole, "minItems": 2, "maxItems": 2}
    return _mapping(
        {
            "d": axis,
            "k": axis,
            "n": {"$ref": "#/$defs/n_axis"},
            "points": _list_of({"anyOf": [pair, _mapping({"d": whole, "k": whole})]}),
            "zip": {**_mapping(dict.fromkeys("dkn", values), []), "minProperties": 2},
        },
        [],
    )


def _search() -> Schema:
    schema = _plain(Search.model_json_schema())
    fields = "fields of learner or target (target.NAME) to choose, each a list or a range"
    schema["properties"]["fields"] = _tunables(fields)
    schema["properties"]["sampler"] = {"enum": list(SAMPLERS), "description": "of Optuna"}
    return {key: value for key, value in schema.items() if key != "$defs"}


def _tunables(description: str, more: Sequence[str] = ()) -> Schema:
    span: Schema = {
        "low": {"type": "number"},
        "high": {"type": "number"},
        "spacing": {"enum": ["linear", "log"]},
        **{word: {"type": "integer", "minimum": 2, "maximum": 64} for word in more},
    }
    one = {"anyOf": [{"type": "array", "minItems": 1}, _mapping(span, ["low", "high"])]}
    return {"type": "object", "description": description, "additionalProperties": one}


def _theory() -> Schema:
    chosen = {"type": ["string", "object"]}
    row = {"d": {"type": "integer"}, "k": {"type": "integer"}, "n_star": {"type": "number"}}
    return _mapping(
        {
            "n_star": {"$ref": "#/$defs/value"},
            "table": _list_of(_mapping(row, ["d", "n_star"])),
            "exponents": {
                "type": "object",
                "description": "apparent powers of d and k",
                "additionalProperties": {"type": "number"},
            },
            "status": {"enum": list(get_args(ThresholdStatus))},
            "measure": {"type": "string"},
            "mean": {"$ref": "#/$defs/value", "description": "of the measure, at (d, n, k)"},
            "within": {"type": "number", "description": "how far off still agrees"},
            "where": {"type": "string", "description": "also == < <= > >= and"},
            "kind": {"enum": list(THEORY_KINDS)},
            "source": {"type": "string"},
            "target": chosen,
            "learner": chosen,
        },
        ["kind"],
    )
