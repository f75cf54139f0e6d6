"""What was asked: experiment files, read strictly, and their meaning as values.

A file is data. Reading one never runs code, never expands aliases, and tells all its faults at once
with file, line and path. The order of words, comments and the spelling of numbers carry no meaning.

Choices that would surprise: a file is read by our own walk over YAML's events, because the usual
loader drops duplicate keys and reads `no` as false (`yaml_text`); a bare formula such as `d/10` is
exact arithmetic, not floating point (`expressions`); the comment that opens a file is its question
and no part of its id (`model`).
"""

from orchestrator.spec.arithmetic import ExpressionError
from orchestrator.spec.axes import Axes, Range, Values
from orchestrator.spec.expressions import Condition, Expression
from orchestrator.spec.load import load, loads
from orchestrator.spec.loading import question_of
from orchestrator.spec.model import ExperimentSpec
from orchestrator.spec.parts import Arm, Criterion, Resources, Search, Tunable
from orchestrator.spec.schema import json_schema
from orchestrator.spec.template import new_file
from orchestrator.spec.theory import Theory, TheoryValue

__all__ = [
    "Arm",
    "Axes",
    "Condition",
    "Criterion",
    "ExperimentSpec",
    "Expression",
    "ExpressionError",
    "Range",
    "Resources",
    "Search",
    "Theory",
    "TheoryValue",
    "Tunable",
    "Values",
    "json_schema",
    "load",
    "loads",
    "new_file",
    "question_of",
]
