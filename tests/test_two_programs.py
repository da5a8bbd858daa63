"""The server and the client of the documentation, run as two programs as in two terminals."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "server-and-client.md"
SECONDS = 30
BLOCK = re.compile(
    r"^```\{code-block\} \w+\n:caption: (.*?)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks() -> dict[str, str]:
    """The blocks of the page, by their captions."""
    return dict(BLOCK.findall(PAGE.read_text(encoding="utf-8")))


def sessions(terminal: str) -> Iterator[tuple[str, list[str], str]]:
    """The commands of a terminal: the key, the words of the command, what it prints."""
    for part in blocks()[terminal].split("$ ")[1:]:
        command, _, output = part.partition("\n")
        key, python, *words = shlex.split(command)
        assert python == "python"
        yield key.partition("=")[2], words, output


@pytest.fixture
def port() -> str:
    """A port that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("localhost", 0))
        return str(sock.getsockname()[1])


def start(folder: Path, port: str, key: str, words: list[str]) -> subprocess.Popen[str]:
    """Run a program of the page, at another port than it says there."""
    program, _, *rest = words
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(folder / program), port, *rest],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"SORTING_KEY": key},
    )


def test_the_two_programs(tmp_path: Path, port: str) -> None:
    for name in ("server.py", "client.py"):
        (tmp_path / name).write_text(blocks()[name])
    ((key, words, expected),) = sessions("terminal 1")
    server = start(tmp_path, port, key, words)
    try:
        assert server.stdout is not None
        printed = server.stdout.readline()
        for key, words, answer in sessions("terminal 2"):
            client = start(tmp_path, port, key, words)
            assert client.communicate(timeout=SECONDS)[0] == answer
        rest, _ = server.communicate(timeout=SECONDS)
        assert server.returncode == 0
        assert printed + rest == expected
    finally:
        server.kill()
        server.communicate()
