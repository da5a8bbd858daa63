"""Large messages that nobody announces: somebody was interrupted at the worst moment."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("packet connections exist on Linux", allow_module_level=True)

import processing_core
from processing_core._connection import packet

LARGE = b"x" * 200_000


class InterruptError(Exception):
    """What a signal handler might raise."""


@pytest.fixture
def interrupted_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sender is interrupted after its parcel is sent and before the marker is."""

    def interrupted(*_: Any) -> None:
        raise InterruptError

    monkeypatch.setattr(packet.PacketConnection, "_write_marker", interrupted)


@pytest.mark.usefixtures("interrupted_markers")
def test_an_interrupted_send_has_happened(pipe: tuple[Any, Any]) -> None:
    for index in range(2):
        with pytest.raises(InterruptError):
            pipe[0].send([index, LARGE])
    assert pipe[1].poll(10)
    assert [pipe[1].recv()[0] for _ in range(2)] == [0, 1]
    assert not pipe[1].poll()


def lose_markers(receiver: processing_core.Connection, count: int) -> None:
    """Read markers as a receiver does that is interrupted at once."""
    for _ in range(count):
        assert receiver.poll(10)
        packet._read(receiver.fileno(), packet.READ_BYTES)


def test_parcels_whose_markers_were_lost_do_not_stop_others(pipe: tuple[Any, Any]) -> None:
    """They fill the socket; the next sender waits, nudges, and everything arrives, once."""
    for index in range(2):
        pipe[0].send([index, LARGE])
    lose_markers(pipe[1], 2)
    sender = threading.Thread(target=pipe[0].send, args=([2, LARGE],))
    sender.start()
    received = [pipe[1].recv()[0] for _ in range(3)]
    sender.join(10)
    assert sorted(received) == [0, 1, 2]  # one whose marker is lost has lost its place, too
    pipe[0].send("end")
    assert pipe[1].recv() == "end"
    assert not pipe[1].poll()


def test_a_nudge_alone_is_no_message(pipe: tuple[Any, Any]) -> None:
    pipe[0]._nudge()
    pipe[0].send("after")
    assert pipe[1].recv() == "after"
    pipe[0]._nudge()
    pipe[0].close()
    with pytest.raises(EOFError):
        pipe[1].recv()
