"""Owns ``python -m processing_managers serve``: finding the class, serving, ending by a signal.

The server works in a thread. The main thread waits for signals, so that none of them breaks a
client's call off in the middle.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib
import signal
import socket
import threading
import traceback
from collections.abc import Iterator
from typing import Any

from processing_core import InvalidArgument, InvalidType, current_process
from processing_core.lowlevel import on_fork_in_child
from processing_managers._commands.options import (
    Failure,
    WrongOption,
    add_connection,
    address_of,
    check_tls_is_possible,
    key_of,
    server_context,
    shown,
    shown_address,
)
from processing_managers._manager import BaseManager, ManagerServer

__all__ = ["add_to", "run"]

# How long the server may take to end, in seconds, after it was told to.
STOP_SECONDS = 3.0
# So many bytes that tell of signals are read at once.
READ_SIZE = 64
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def add_to(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "serve",
        help="serve a manager class of a module",
        description="Serves a manager class until SIGINT (Ctrl-C) or SIGTERM, and says where as "
        "soon as clients can connect. Exit codes: 0 when it was ended by a signal or by a client, "
        "1 when it cannot serve or had to be ended by force, 2 when the options make no sense.",
    )
    parser.add_argument(
        "manager", metavar="MODULE:CLASS", help="the class, in a module that can be imported"
    )
    add_connection(parser, server=True)


def run(options: argparse.Namespace) -> int:
    """Serve; returns the exit code.

    :raises WrongOption: when the options make no sense
    :raises Failure: when the address cannot be had
    """
    address = address_of(options.address)
    key = key_of(options.authkey_file)
    context = server_context(options)
    check_tls_is_possible(address, context)
    manager_class = find_class(options.manager)
    # For proxies that come to this process, and to those that it starts.
    current_process().authkey = key
    try:
        manager = manager_class(address, key, ssl_context=context)
        server = manager.get_server()
    except (InvalidArgument, InvalidType) as error:
        raise WrongOption(str(error)) from None
    except OSError as error:
        raise Failure(
            f"cannot serve at {shown_address(address)}: {explained(error, address)}"
        ) from None
    return serve_until_told(server, options.manager)


def explained(error: OSError, address: object) -> str:
    """Why an address cannot be had."""
    why = error.strerror or str(error)
    if error.errno == errno.EADDRINUSE and isinstance(address, str):
        why += "; if that is what a killed server has left, remove it"
    return why


def find_class(name: str) -> type[BaseManager]:
    """The manager class that ``MODULE:CLASS`` means.

    :raises WrongOption: when there is none
    """
    module_name, colon, path = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (module_name + "." + path).split(".")):
        raise WrongOption(f"{shown(name)} is not MODULE:CLASS")
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module of others raises
        raise WrongOption(why_not_imported(module_name, error)) from None
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise WrongOption(f"there is no {path} in the module {module_name}") from None
    if not (isinstance(found, type) and issubclass(found, BaseManager)):
        raise WrongOption(f"{name} is not a class of managers: it is {shown(repr(found))}")
    return found


def why_not_imported(name: str, error: BaseException) -> str:
    """In one line why a module cannot be imported."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    if missing is not None and f"{name}.".startswith(f"{missing}."):
        return f"there is no module {missing}"
    told = [error] if error.__cause__ is None else [error, error.__cause__]
    message = shown("; ".join(f"{type(one).__name__}: {one}".removesuffix(": ") for one in told))
    *_, last = traceback.extract_tb(error.__traceback__)
    return f"the module {name} cannot be imported: {message} ({last.filename}:{last.lineno})"


def serve_until_told(server: ManagerServer, name: str) -> int:
    """Serve until a signal comes, or a client ends the server."""
    awake, alarm = socket.socketpair()
    alarm.setblocking(False)
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True

    def serve() -> None:
        try:
            server.serve_forever()
        finally:
            end()
            awaken(alarm)

    for number in SIGNALS:
        signal.signal(number, end)
    on_fork_in_child(leave_signals_to_parent)
    # Daemonic: a method that never returns must not keep the process from ending.
    thread = threading.Thread(target=serve, name="ManagerServer", daemon=True)
    with awake, alarm, awakened_by_signals(alarm):
        thread.start()
        print(f"serving {name} at {shown_address(server.address)}", flush=True)
        while not told:
            awake.recv(READ_SIZE)
        server.stop()
        thread.join(STOP_SECONDS)
        if thread.is_alive():
            raise Failure(f"a method has not returned for {STOP_SECONDS:g} s; ended by force")
    return 0


def awaken(alarm: socket.socket) -> None:
    """Wake the main thread, unless what came before does so, or it no longer waits."""
    with contextlib.suppress(OSError):
        alarm.send(b"\0")


@contextlib.contextmanager
def awakened_by_signals(alarm: socket.socket) -> Iterator[None]:
    """Have the interpreter itself write a byte when a signal comes.

    A handler cannot see to that: it runs between two instructions, so when a signal comes in just
    before the main thread begins to wait, it runs only after the wait.
    """
    signal.set_wakeup_fd(alarm.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)


def leave_signals_to_parent() -> None:
    """In a forked child, as of a pool: signals are not for the server."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
