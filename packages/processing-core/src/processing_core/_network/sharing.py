"""Owns offers: objects with descriptors for processes of this machine that no socket leads to.

An offer is a few plain values that any transport takes. The process that makes it keeps copies of
the descriptors and answers at the address of an AF_UNIX listener, which has the process's key; who
takes the offer connects there, shows the offer's token and gets the object. Each offer is taken
once or runs out. A thread answers, for only as long as there are offers; it ends before the process
forks and is started again afterwards, so a forked child has no trace of it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

from processing_core._clock import checked_timeout
from processing_core._connection.waiting import wait
from processing_core._generic import TYPE_CHECKING
from processing_core._lifecycle import on_fork
from processing_core._network.client import Client
from processing_core._network.listener import Listener
from processing_core._process import current_process
from processing_core._serialize.packer import Packer
from processing_core.errors import (
    AuthenticationError,
    InvalidArgument,
    SerializationError,
    SharingError,
    TimeoutError,
)

if sys.platform == "linux":
    from processing_core._connection.packet import PacketConnection

if TYPE_CHECKING:
    from typing import Any

    from processing_core._connection.base import Connection

__all__ = ["OFFER_SECONDS", "Offer", "offer"]

OFFER_SECONDS = 60.0
TOKEN_BYTES = 16
# How long somebody who has connected may take to say what he wants, and how long we wait for it.
ANSWER_SECONDS = 10.0
# How long to leave clients waiting when there are no descriptors left.
EXHAUSTED_SECONDS = 0.1
ALARM = b"!"
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Offer:
    """An object that another process of this machine can take, once. Made by ``offer``.

    Can be pickled by any pickler and sent by any means. It is no secret: who takes the object has
    to know the key of the process.
    """

    __slots__ = ("_address", "_machine", "_token")

    def __init__(self, address: str, token: bytes, machine: str) -> None:
        self._address = address
        self._token = token
        self._machine = machine

    def take(self) -> Any:
        """Take the object; this process has descriptors of its own for it then.

        :raises SharingError: when it was taken already, when its time has run out, when the process
            that offers it has ended, or is on another machine or in another container
        :raises AuthenticationError: when this process's ``authkey`` is not that of the other
        """
        if self._machine != this_machine():
            raise SharingError("an object with descriptors was offered on another machine")
        key = bytes(current_process().authkey)
        try:
            connection = Client(self._address, "AF_UNIX", authkey=key, timeout=ANSWER_SECONDS)
        except (FileNotFoundError, ConnectionError, TimeoutError) as error:
            raise SharingError(
                "the process that offered the object has ended, does not answer, is in another "
                "container, or the time has run out"
            ) from error
        except AuthenticationError as error:
            error.add_note(
                "offers are taken with the authkey of the process, which has to be equal"
            )
            raise
        gone = "the object was taken already, or its time has run out"
        with connection:
            try:
                connection.send_bytes(self._token)
                if connection.poll(ANSWER_SECONDS):
                    return connection.recv()
            except (EOFError, ConnectionError) as error:
                raise SharingError(gone) from error
        raise SharingError(gone)

    def __reduce__(self) -> tuple[Any, ...]:
        return Offer, (self._address, self._token, self._machine)


class TakenOnArrival:
    """An offer that is the object itself once it is unpickled."""

    __slots__ = ("_offer",)

    def __init__(self, one: Offer) -> None:
        self._offer = one

    def __reduce__(self) -> tuple[Any, ...]:
        return Offer.take, (self._offer,)


def offer(obj: object, timeout: float | None = OFFER_SECONDS) -> Offer:
    """Offer an object that holds descriptors to another process of this machine.

    For transports that carry no descriptors: ``pickle`` and files, a TCP connection through
    something else. What it holds (sockets, connections, queues, locks) may be closed here at once.

    :param timeout: how long it can be taken, in seconds
    :raises SerializationError: when the platform does not let descriptors be sent (not Linux)
    :raises OSError: when this process has no descriptors left

    Whatever the pickling of the object raises is raised here. Any thread may call it.
    """
    seconds = checked_timeout(timeout)
    if seconds is None:
        raise InvalidArgument("an offer needs a time limit: it keeps descriptors open")
    if sys.platform != "linux":
        raise SerializationError("this platform does not let descriptors be offered")
    package = Package(obj, time.monotonic() + seconds)
    try:
        return service.add(package)
    except BaseException:  # a signal handler's as well: nothing stays open
        package.close()
        raise


def this_machine() -> str:
    """What tells this machine, since it was started, from others."""
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


class Package:
    """A pickled object with copies of its descriptors, until when it is offered."""

    __slots__ = ("data", "descriptors", "ends_at")

    def __init__(self, obj: object, ends_at: float) -> None:
        packer = Packer(out_of_band=False)
        packer.dump(obj)
        self.data = b"".join(packer.pieces)
        self.ends_at = ends_at
        self.descriptors: list[int] = []
        try:
            self.descriptors += map(os.dup, packer.descriptors)
        except BaseException:  # a signal handler's as well: nothing stays open
            self.close()
            raise

    def close(self) -> None:
        while self.descriptors:
            os.close(self.descriptors.pop())


class Service:
    """The offers of this process, and the thread that hands them over."""

    def __init__(self) -> None:
        self._hooked = False
        self._reset()

    def _reset(self) -> None:
        # Re-entrant, because a signal handler may fork while its thread has it.
        self._lock = threading.RLock()
        self._packages: dict[bytes, Package] = {}
        self._clients: dict[Connection[Any, Any], float] = {}
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._running = self._stopping = False
        self._alarm = (-1, -1)

    def add(self, package: Package) -> Offer:
        """Have a package handed over to who asks for it."""
        token = os.urandom(TOKEN_BYTES)
        if not self._hooked:
            self._hooked = True
            on_fork(self._before_fork, self._after_fork, self._after_fork_in_child)
        with self._lock:
            try:
                listener = self._listening()
                self._packages[token] = package
                self._start()
            except BaseException:  # a signal handler's as well: nothing stays open
                self._packages.pop(token, None)
                if not self._running:
                    self._close()
                raise
            return Offer(listener.address, token, this_machine())

    def _listening(self) -> Listener:
        if self._listener is None:
            alarm = os.pipe()
            try:
                key = bytes(current_process().authkey)
                self._listener = Listener(family="AF_UNIX", authkey=key)
            except BaseException:  # a signal handler's as well: nothing stays open
                for descriptor in alarm:
                    os.close(descriptor)
                raise
            self._alarm = alarm
        return self._listener

    def _start(self) -> None:
        if not (self._running or self._stopping) and self._listener is not None:
            self._running = True
            self._thread = threading.Thread(target=self._run, name="processing offers", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._lock:
                self._drop_late()
                if self._stopping or not self._packages:
                    self._running = False
                    if not self._packages:
                        self._close()
                    return
                listener, alarm = self._listener, self._alarm[0]
                assert listener is not None
                ends = [*(one.ends_at for one in self._packages.values()), *self._clients.values()]
                objects: list[Any] = [alarm, listener, *self._clients]
            for one in wait(objects, max(0.0, min(ends) - time.monotonic())):
                if one is listener:
                    self._admit(listener)
                elif one in self._clients:
                    self._hand_over(one)

    def _admit(self, listener: Listener) -> None:
        try:
            self._clients[listener.accept(0)] = time.monotonic() + ANSWER_SECONDS
        except (AuthenticationError, TimeoutError):
            return  # a stranger; or somebody who is still being greeted
        except OSError:
            wait([self._alarm[0]], EXHAUSTED_SECONDS)

    def _hand_over(self, client: Connection[Any, Any]) -> None:
        del self._clients[client]
        with client, suppress(OSError, EOFError):
            token = client.recv_bytes(TOKEN_BYTES)
            with self._lock:
                package = self._packages.pop(token, None)
            if package is None:
                return
            try:
                if sys.platform == "linux":
                    assert isinstance(client, PacketConnection)
                    client._send_parcel([[package.data]], package.descriptors)
            finally:
                package.close()

    def _drop_late(self) -> None:
        now = time.monotonic()
        for token in [key for key, one in self._packages.items() if one.ends_at <= now]:
            self._packages.pop(token).close()
        for client in [one for one, ends_at in self._clients.items() if ends_at <= now]:
            del self._clients[client]
            client.close()

    def _close(self) -> None:
        """Close everything."""
        for client in self._clients:
            client.close()
        for package in self._packages.values():
            package.close()
        self._clients, self._packages = {}, {}
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            for descriptor in self._alarm:
                os.close(descriptor)

    # A fork finds one thread fewer, and the lock with the thread that forks.

    def _before_fork(self) -> None:
        with self._lock:
            thread, self._stopping = self._thread, True
            if self._running:
                os.write(self._alarm[1], ALARM)
        if thread is not None:
            thread.join()
        self._lock.acquire()

    def _after_fork(self) -> None:
        self._stopping = False
        if self._listener is not None:
            if wait([self._alarm[0]], 0):
                os.read(self._alarm[0], len(ALARM))
            self._start()
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._close()
        self._reset()


service = Service()
