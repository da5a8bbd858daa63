"""Runs the programs of the command line's tests: servers, and whatever talks to them."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from processing_testkit import start_python

COMMAND = ("-W", "error", "-m", "processing_managers")
SECONDS = 30.0


class Folder:
    """A folder to run programs in, with a key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key_file = path / "key"
        self.write_key("the key of these tests\n")

    def write_key(self, text: str) -> None:
        """Make the key another one."""
        self.key_file.write_text(text)
        self.key_file.chmod(0o600)

    @property
    def key(self) -> bytes:
        return self.key_file.read_bytes().rstrip()

    def start(self, *words: str) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
        """A running command, whose output and errors are to be read."""
        return start_python([*COMMAND, *words], cwd=self.path, stderr=subprocess.PIPE)


class Server:
    """A running server, which has said where it listens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.line = process.stdout.readline()
        if not self.line:
            raise AssertionError(f"it does not serve: {process.communicate(timeout=SECONDS)}")
        self.shown = self.line.rstrip("\n").partition(" at ")[2]
        self.address = address_of(self.shown)

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send a signal; the exit code, and what is printed from now on."""
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> tuple[int, str, str]:
        """Wait for the end; the exit code, and what is printed from now on."""
        output, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, output, errors


def address_of(shown: str) -> tuple[str, int] | str:
    """The address that the server says."""
    if "/" in shown:
        return shown
    host, _, port = shown.rpartition(":")
    return host.strip("[]"), int(port)


@contextlib.contextmanager
def served(folder: Folder, name: str, address: str, *words: str) -> Iterator[Server]:
    """A server of a manager class."""
    place = ("--address", address, "--authkey-file", str(folder.key_file))
    with folder.start("serve", name, *place, *words) as process:
        yield Server(process)
