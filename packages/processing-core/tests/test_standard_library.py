"""Talking to the standard library's connections, of every Python that is found, in both roles."""

from __future__ import annotations

import ast
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

assert sys.platform != "win32", "there conftest.py leaves this file out"

import pytest

from network_tools import KEY, TIME, in_thread
from processing_core import AuthenticationError, Connection, Pipe
from processing_core._network import challenge
from processing_core.connection import Client, Listener, answer_challenge, deliver_challenge

VERSIONS = ("3.11", "3.12", "3.13")
FAMILIES = ["AF_INET", "AF_UNIX"]

# What runs in the other interpreter: without our library, and told everything by arguments.
LISTENER = """
import sys
from multiprocessing.connection import Listener
from multiprocessing import AuthenticationError
family, key = sys.argv[1], sys.argv[2].encode() or None
with Listener(None, family, authkey=key) as listener:
    print(repr(listener.address), flush=True)
    try:
        connection = listener.accept()
    except (AuthenticationError, EOFError, OSError) as error:
        print("refused", type(error).__name__, flush=True)
    else:
        with connection:
            for _ in range(3):
                connection.send(connection.recv())
            connection.send_bytes(connection.recv_bytes())
        print("served", flush=True)
"""
CLIENT = """
import ast, sys
from multiprocessing.connection import Client
from multiprocessing import AuthenticationError
address, key = ast.literal_eval(sys.argv[1]), sys.argv[2].encode() or None
try:
    connection = Client(address, authkey=key)
except (AuthenticationError, EOFError, OSError) as error:
    print("refused", type(error).__name__, flush=True)
else:
    with connection:
        for _ in range(3):
            connection.send(connection.recv())
        connection.send_bytes(connection.recv_bytes())
    print("served", flush=True)
"""
CHALLENGE = """
import ast, sys
from multiprocessing.connection import Client, answer_challenge, deliver_challenge
address, key = ast.literal_eval(sys.argv[1]), sys.argv[2].encode()
with Client(address) as connection:
    answer_challenge(connection, key)
    deliver_challenge(connection, key)
    print("served", flush=True)
"""


@functools.cache
def interpreter(version: str) -> str | None:
    """The path of an interpreter that really is of that version."""
    candidates = [sys.executable if sys.version_info[:2] == _pair(version) else None]
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in root.glob(f"versions/{version}.*/bin/python")]
    candidates.append(shutil.which(f"python{version}"))
    for path in candidates:
        if path is not None:
            command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.stdout.strip() == version:
                return path
    return None


def _pair(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@contextmanager
def other(version: str, program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    path = interpreter(version)
    if path is None:
        pytest.skip(f"there is no Python {version}")
    command = [path, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
            assert process.wait(TIME) == 0
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def talk(connection: Connection[Any, Any]) -> None:
    """The other end sends everything back."""
    with connection:
        for message in (1, {"a": b"b" * 1000}, bytes(3_000_000)):
            with in_thread(connection.send, message):
                assert connection.recv() == message
        connection.send_bytes(b"raw")
        assert connection.recv_bytes() == b"raw"


versions = pytest.mark.parametrize("version", VERSIONS)
families = pytest.mark.parametrize("family", FAMILIES)


@versions
@families
@pytest.mark.parametrize("key", [KEY.decode(), ""])
def test_our_client_their_listener(version: str, family: str, key: str) -> None:
    with other(version, LISTENER, family, key) as process:
        address = ast.literal_eval(line(process))
        talk(Client(address, authkey=key or None, compat="multiprocessing", timeout=TIME))
        assert line(process) == "served"


@versions
@families
@pytest.mark.parametrize("key", [KEY.decode(), ""])
def test_our_listener_their_client(version: str, family: str, key: str) -> None:
    with (
        Listener(family=family, authkey=key or None, compat="multiprocessing") as listener,
        other(version, CLIENT, repr(listener.address), key) as process,
    ):
        talk(listener.accept(TIME))
        assert line(process) == "served"


@versions
def test_another_key_is_an_error_at_both_ends(version: str) -> None:
    with other(version, LISTENER, "AF_INET", "wrong") as process:
        address = ast.literal_eval(line(process))
        with pytest.raises(AuthenticationError, match="another one"):
            Client(address, authkey=KEY, compat="multiprocessing", timeout=TIME)
        assert line(process) == "refused AuthenticationError"
    with (
        Listener(family="AF_INET", authkey=KEY, compat="multiprocessing") as listener,
        other(version, CLIENT, repr(listener.address), "wrong") as process,
    ):
        with pytest.raises(AuthenticationError, match="does not know the key"):
            listener.accept(TIME)
        assert line(process) == "refused AuthenticationError"


@versions
def test_without_compat_it_is_an_error_and_not_a_hang(version: str) -> None:
    with other(version, LISTENER, "AF_INET", KEY.decode()) as process:
        address = ast.literal_eval(line(process))
        with pytest.raises(AuthenticationError, match="another protocol"):
            Client(address, authkey=KEY, timeout=TIME)
        assert line(process).startswith("refused")


@versions
def test_md5_is_spoken_only_when_asked_for(version: str) -> None:
    """Python 3.11 answers with MD5, later ones with SHA-256."""
    legacy = version == "3.11"
    with (
        Listener(family="AF_INET", compat="multiprocessing") as listener,
        other(version, CHALLENGE, repr(listener.address), KEY.decode()) as process,
        listener.accept(TIME) as connection,
    ):
        compat = "multiprocessing" if legacy else None
        deliver_challenge(connection, KEY, compat=compat)
        answer_challenge(connection, KEY, compat=compat)
        assert line(process) == "served"


def test_md5_is_refused() -> None:
    here, there = Pipe()
    with here, there, in_thread(deliver_challenge, here, KEY) as delivering:
        delivered = there.recv_bytes()
        weak = challenge.mac(KEY, delivered[len(challenge.CHALLENGE) :], None, weak=True)
        there.send_bytes(weak)
        assert there.recv_bytes() == challenge.FAILURE
        with pytest.raises(AuthenticationError, match="MD5"):
            delivering.result(TIME)
