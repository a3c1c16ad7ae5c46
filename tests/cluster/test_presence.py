"""Who is to serve a device: agreed by all who hear the same, moved as little as can be, never decisive."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.custody import wire
from agent.dock.cluster.presence import Presence, WorkerState, preferred, worker_topic

NAMES = st.sets(st.text("abcdef0123456789-", min_size=1, max_size=8), min_size=1, max_size=6)


@given(NAMES, st.lists(st.text("abcdef0123456789-", min_size=1, max_size=8), max_size=20))
def test_a_worker_that_goes_moves_only_its_own_devices(workers: set[str], devices: list[str]) -> None:
    """Everybody computes the same, in whatever order they know the workers."""
    for device in devices:
        before = preferred(device, sorted(workers))
        assert before == preferred(device, sorted(workers, reverse=True))
        for gone in workers - {before}:
            assert preferred(device, workers - {gone}) == before


def test_devices_are_shared_out_about_evenly() -> None:
    """Of 3,000 devices no worker of three has far from a third."""
    counts = dict.fromkeys(("w1", "w2", "w3"), 0)
    for number in range(3_000):
        counts[preferred(f"er-{number}", counts)] += 1
    assert all(900 < count < 1_100 for count in counts.values())


def test_silence_ends_a_worker_and_so_does_its_will() -> None:
    """The will of a connection that has been replaced ends nothing."""
    presence = Presence("w1", 10.0)
    presence.hear(WorkerState(1, "w2", 5, True), 100.0)
    presence.hear(WorkerState(1, "w3", 6, True), 100.0)
    assert set(presence.alive(105.0)) == {"w1", "w2", "w3"}
    presence.hear(WorkerState(1, "w2", 4, False), 105.0)
    assert "w2" in presence.alive(105.0)
    presence.hear(WorkerState(1, "w2", 5, False), 105.0)
    assert set(presence.alive(105.0)) == {"w1", "w3"}
    assert presence.alive(110.0) == ["w1"]


def test_a_worker_counts_for_itself_whatever_is_heard() -> None:
    """Not even its own will takes it out; after a lost link nobody else is known."""
    presence = Presence("w1", 10.0)
    presence.hear(WorkerState(1, "w1", 5, False), 1.0)
    presence.hear(WorkerState(1, "w2", 5, True), 1.0)
    presence.forget()
    assert presence.alive(1.0) == ["w1"]


def test_signs_of_life_are_no_topic_of_a_device_s() -> None:
    """No device can be named so that its topics fall among them, and none of its filters matches them."""
    words = worker_topic("dock-1", "w1").split("/")
    assert words[:3] == [*wire.ROOT.split("/"), wire.RESERVED_DEVICE]
    assert len(words) != len(wire.DOCK_STATE_FILTER.split("/"))
