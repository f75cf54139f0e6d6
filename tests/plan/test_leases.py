"""Leases as a table of times, with no clock."""

from orchestrator.plan.facts import Reason
from orchestrator.plan.leases import Lease


def test_a_lease_runs_from_the_first_question_left_unanswered():
    lease = Lease(5.0)
    for now in (10.0, 12.0, 14.0):
        lease.asked(now)
    assert lease.verdict(15.0) is None
    assert lease.verdict(15.1) == (Reason.TIMED_OUT, "no pulse for 5 s")


def test_an_answer_renews_the_lease():
    lease = Lease(5.0)
    lease.asked(10.0)
    lease.heard()
    lease.asked(14.0)
    assert lease.verdict(18.0) is None


def test_a_worker_that_was_cut_off_is_no_fault_of_the_trial_unless_it_was_heard_since():
    lease = Lease(5.0)
    lease.asked(10.0)
    lease.cut_off()
    assert lease.verdict(16.0) == (Reason.NODE_LOST, "no pulse for 5 s")
    lease.heard()
    lease.asked(20.0)
    assert lease.verdict(26.0) == (Reason.TIMED_OUT, "no pulse for 5 s")


def test_a_pack_past_its_deadline_ends_a_worker_that_answers():
    lease = Lease(5.0)
    assert lease.verdict(13.0, began=10.0, limit_s=3.0) is None
    assert lease.verdict(13.5, began=10.0, limit_s=3.0) == (
        Reason.TIMED_OUT,
        "past its deadline of 3 s",
    )


def test_an_idle_worker_that_was_never_asked_is_left_in_peace():
    assert Lease(5.0).verdict(1e9) is None


def test_a_driver_that_was_frozen_listens_before_it_gives_anyone_up():
    lease = Lease(5.0)
    lease.looked(0.0)
    lease.asked(1.0)
    lease.looked(600.0)
    assert lease.verdict(600.0, began=0.0, limit_s=3.0) is None, "its answer is on its way"
    lease.looked(604.0)
    lease.heard()
    assert lease.verdict(605.0) is None
    assert lease.verdict(605.0, began=0.0, limit_s=3.0) is not None, "the pack is late all the same"
