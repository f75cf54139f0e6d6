"""What fits on which machines, and what is said when it does not."""

import logging
import sys

import pytest
import torch

from orchestrator.engine import RayExecutor
from orchestrator.engine.fit import slots_that_fit
from orchestrator.errors import ClusterUnreachable, PhasefrontError, RequestError


@pytest.mark.parametrize(
    ("asked", "gpus", "nodes", "count"),
    [
        (None, 0.0, [{"CPU": 4.0}, {"CPU": 2.0}, {}], 6),
        (3, 0.0, [{"CPU": 4.0}], 3),
        (9, 0.0, [{"CPU": 4.0}], 4),
        (None, 1.0, [{"CPU": 16.0, "GPU": 4.0}], 4),
        (8, 1.0, [{"CPU": 16.0, "GPU": 4.0}, {"CPU": 16.0}], 4),
        (None, 2.0, [{"CPU": 16.0, "GPU": 3.0}], 1),
        (None, 0.3, [{"CPU": 16.0, "GPU": 2.0}], 6),
        (None, 0.1, [{"CPU": 16.0, "GPU": 1.0}], 10),
        (None, 0.1, [{"CPU": 2.0, "GPU": 1.0}], 2),
    ],
)
def test_slots_are_those_asked_for_or_as_many_as_the_nodes_hold(asked, gpus, nodes, count):
    assert slots_that_fit(asked, gpus, nodes, "the cluster") == count


def test_fewer_slots_than_asked_for_are_said(caplog):
    with caplog.at_level(logging.WARNING):
        slots_that_fit(8, 1.0, [{"CPU": 16.0, "GPU": 4.0}], "this machine")
    assert "8 slots were asked for and this machine holds 4" in caplog.text


def test_as_many_slots_as_asked_for_need_no_word(caplog):
    slots_that_fit(4, 1.0, [{"CPU": 16.0, "GPU": 4.0}], "this machine")
    assert caplog.text == ""


@pytest.mark.parametrize("asked", [None, 2])
def test_gpus_that_no_machine_has_are_a_wrong_request(asked):
    nodes = [{"CPU": 4.0, "GPU": 1.0}, {"CPU": 4.0, "GPU": 2.0}]
    words = r"asks for 4 GPU .* the cluster has 2, 3 over all machines"
    with pytest.raises(RequestError, match=words):
        slots_that_fit(asked, 4.0, nodes, "the cluster")


def test_more_than_one_gpu_comes_whole():
    with pytest.raises(RequestError, match="several whole ones"):
        slots_that_fit(None, 1.5, [{"CPU": 4.0, "GPU": 4.0}], "the cluster")


def test_a_cluster_without_a_cpu_may_have_one_later():
    with pytest.raises(ClusterUnreachable, match="1 CPU and 0 GPU"):
        slots_that_fit(2, 0.0, [{}], "the cluster")


@pytest.mark.parametrize("slots", [None, 1])
def test_gpus_that_this_machine_lacks_are_refused_before_ray_starts(monkeypatch, slots):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setitem(sys.modules, "orchestrator.engine.embedded", _NoRay())
    with pytest.raises(
        RequestError, match=r"asks for 1 GPU .* this machine, as torch sees it, has 0"
    ) as refused:
        RayExecutor(None, slots, 1.0)
    assert refused.value.exit_status == 2


def test_gpus_that_this_machine_has_are_told_to_ray_as_torch_counts_them(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    ray = _NoRay()
    monkeypatch.setitem(sys.modules, "orchestrator.engine.embedded", ray)
    with pytest.raises(_StartedError):
        RayExecutor(None, 3, 0.5)
    assert ray.asked == [(3, 2)]


class _StartedError(PhasefrontError):
    pass


class _NoRay:
    """In place of the module `embedded`: starting a Ray raises."""

    def __init__(self):
        self.asked = []

    def EmbeddedRay(self, cpus, gpus):  # noqa: N802
        self.asked.append((cpus, gpus))
        raise _StartedError
