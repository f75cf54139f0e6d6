import json
from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, ValidationError

from orchestrator.domain.learner import Learner
from orchestrator.domain.learners.basis_pursuit import BasisPursuit
from orchestrator.domain.plugin import Plugin, canonical_json, load_file, load_source, scan
from orchestrator.domain.target import Target
from orchestrator.domain.targets.sparse_linear import SparseLinear
from orchestrator.errors import PluginError

OWN = '''
from typing import Literal
from orchestrator.domain.target import Target

class Mine(Target):
    """A target of one's own."""
    kind: Literal["{kind}"] = "{kind}"
'''


@pytest.fixture(autouse=True)
def _known_kinds_are_put_back(monkeypatch):
    scan()  # a module says its kind once, when it is first imported
    monkeypatch.setattr(Target, "kinds", dict(Target.kinds))
    monkeypatch.setattr(Learner, "kinds", dict(Learner.kinds))


def a_file(folder: Path, name: str = "mine.py", text: str = OWN.format(kind="mine")) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_the_folders_are_scanned_so_that_built_in_kinds_are_known():
    assert Target.kind_named("sparse_linear") is SparseLinear
    assert Learner.kind_named("basis_pursuit") is BasisPursuit


def test_an_unknown_kind_is_refused_with_the_nearest_known_one():
    with pytest.raises(PluginError, match="did you mean 'sparse_linear'"):
        Target.kind_named("sparse_linaer")


def test_settings_that_do_not_fit_are_refused_by_name():
    with pytest.raises(PluginError, match="noise"):
        Target.from_settings({"kind": "sparse_linear", "noise": -1.0})
    with pytest.raises(PluginError, match="noise"):
        Target.from_settings({"kind": "sparse_linear", "noise": "0.1"})


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_setting_is_never_infinite_or_nan(bad):
    with pytest.raises(ValidationError):
        SparseLinear(noise=bad)
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"noise": bad})


def test_equal_settings_have_one_canonical_text_and_the_revision_is_part_of_it(monkeypatch):
    text = SparseLinear(noise=0.5).canonical
    assert text == '{"kind":"sparse_linear","noise":0.5,"revision":1,"signal":"gaussian"}'
    assert SparseLinear(signal="gaussian", noise=0.5).canonical == text
    monkeypatch.setattr(SparseLinear, "revision", 2)
    assert SparseLinear(noise=0.5).canonical != text


def test_a_label_names_what_differs_from_the_defaults():
    assert SparseLinear().label == "sparse_linear"
    assert SparseLinear(noise=0.5).label == "sparse_linear(noise=0.5)"


def test_a_plugin_file_is_known_once_loaded_and_loading_it_again_does_nothing(tmp_path):
    path = a_file(tmp_path)
    assert load_file(path) == ("mine", path.read_text())
    assert Target.kind_named("mine").from_settings({"kind": "mine"}).kind == "mine"
    load_file(path)


def test_a_worker_makes_the_plugin_from_its_source_alone():
    load_source("sent", OWN.format(kind="sent"))
    assert json.loads(Target.from_settings({"kind": "sent"}).canonical)["kind"] == "sent"


def test_two_different_files_of_one_name_are_refused(tmp_path):
    load_source("twice", OWN.format(kind="twice"))
    with pytest.raises(PluginError, match=r"both named twice\.py"):
        load_file(a_file(tmp_path, "twice.py", OWN.format(kind="twice") + "\nx = 1\n"))


def test_a_kind_that_exists_already_is_refused_and_can_be_loaded_after_it_is_renamed(tmp_path):
    with pytest.raises(PluginError, match="defined by both"):
        load_file(a_file(tmp_path, "clash.py", OWN.format(kind="sparse_linear")))
    load_file(a_file(tmp_path, "clash.py", OWN.format(kind="renamed")))
    assert Target.kind_named("sparse_linear") is SparseLinear


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("broken.py", "class :", "SyntaxError"),
        ("raises.py", "1 / 0", "ZeroDivisionError"),
        ("not-a-module.py", "", "named like a Python module"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(tmp_path, name, text, words):
    with pytest.raises(PluginError, match=words) as caught:
        load_file(a_file(tmp_path, name, text))
    assert name in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PluginError, match=r"nowhere\.py"):
        load_file(tmp_path / "nowhere.py")


def test_a_base_class_without_a_kind_of_its_own_is_no_plugin():
    class Base(Target):
        """Shared by others."""

        strength: float = Field(1.0)

    class Concrete(Base):
        """One of them."""

        kind: Literal["concrete"] = "concrete"

    assert Target.kinds["concrete"] is Concrete
    assert Base not in Target.kinds.values()
    assert issubclass(Base, Plugin)
