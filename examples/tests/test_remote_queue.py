"""The remote queue: server, producer and consumer as three programs, plain and with TLS."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from processing.managers import BaseManager

if sys.platform == "win32":
    pytest.skip("there are no managers yet", allow_module_level=True)

FOLDER = Path(__file__).parents[1] / "remote_queue"
SECONDS = 60.0


class Place:
    """Where a test runs: a key, and with TLS certificates."""

    def __init__(self, path: Path, *, tls: bool) -> None:
        self.port = "0"
        self.key_file = path / "key"
        self.key_file.write_text("what these three programs know\n")
        self.key_file.chmod(0o600)
        self.server: list[str] = []
        self.client: list[str] = []
        if tls:
            authority = trustme.CA()
            certificate = authority.issue_cert("localhost")
            certificate.private_key_and_cert_chain_pem.write_to_path(path / "server.pem")
            authority.cert_pem.write_to_path(path / "authority.pem")
            self.server = ["--tls-cert", str(path / "server.pem")]
            self.client = ["--tls-ca", str(path / "authority.pem")]

    @contextlib.contextmanager
    def start(self, name: str, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A running program; it is killed afterwards, if it still runs."""
        mine = self.server if name == "server" else self.client
        arguments = ["--port", self.port, "--key-file", str(self.key_file), *mine, *words]
        with subprocess.Popen(
            [sys.executable, "-W", "error", str(FOLDER / f"{name}.py"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as program:
            try:
                yield program
            finally:
                program.kill()

    @contextlib.contextmanager
    def serving(self) -> Iterator[subprocess.Popen[str]]:
        """The server, when it has said where it is."""
        with self.start("server") as server:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("serving at 127.0.0.1, port "), line or server.stderr
            self.port = line.split()[-1]
            yield server

    def produce(self, *words: str) -> tuple[int, str, str]:
        """Run a producer to its end."""
        with self.start("producer", *words) as producer:
            return ended(producer)

    @contextlib.contextmanager
    def consuming(self, name: str) -> Iterator[subprocess.Popen[str]]:
        """A consumer that is ready."""
        with self.start("consumer", "--name", name) as consumer:
            assert consumer.stdout is not None
            assert consumer.stdout.readline() == f"{name} is ready\n"
            yield consumer

    def wait_for_clients(self, number: int) -> None:
        """Wait until the server has so many clients, beside this one."""
        address = ("localhost", int(self.port))
        authority = self.client[1] if self.client else None
        context = ssl.create_default_context(cafile=authority) if authority else None
        manager = BaseManager(address, self.key_file.read_bytes().rstrip(), ssl_context=context)
        manager.connect()
        limit = time.monotonic() + SECONDS
        while len(manager.info()["clients"]) != number + 1:
            assert time.monotonic() < limit
            time.sleep(0.01)


def ended(program: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit code of a program that ends, and what it prints until then."""
    output, errors = program.communicate(timeout=SECONDS)
    return program.returncode, output, errors


@pytest.fixture(params=["plain", "TLS"])
def place(tmp_path: Path, request: pytest.FixtureRequest) -> Place:
    return Place(tmp_path, tls=request.param == "TLS")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_three_programs(place: Place, number: signal.Signals) -> None:
    with place.serving() as server, place.consuming("ada") as consumer:
        answers = "12 = 2 x 2 x 3 (ada)\n97 = 97 (ada)\n1001 = 7 x 11 x 13 (ada)\n"
        assert place.produce("12", "97", "1001") == (0, answers, "")
        assert place.produce("2") == (0, "2 = 2 (ada)\n", "")
        server.send_signal(number)
        assert ended(server) == (0, "ended\n", "")
        assert ended(consumer) == (0, "the server has ended; ada did 4 jobs\n", "")


def test_each_job_is_done_by_one_of_several_consumers(place: Place) -> None:
    numbers = [str(number) for number in range(2, 102)]
    with place.serving() as server, place.consuming("ada") as ada, place.consuming("bob") as bob:
        code, output, errors = place.produce(*numbers)
        assert (code, errors) == (0, "")
        lines = [line.split() for line in output.splitlines()]
        assert sorted(int(line[0]) for line in lines) == list(range(2, 102))
        server.terminate()
        assert ended(server)[0] == 0
        for name, program in (("ada", ada), ("bob", bob)):
            mine = sum(line[-1] == f"({name})" for line in lines)
            done = f"the server has ended; {name} did {mine} jobs\n"
            assert ended(program) == (0, done, "")


def test_the_producer_comes_first(place: Place) -> None:
    with place.serving(), place.start("producer", "15") as producer, place.consuming("late"):
        assert ended(producer) == (0, "15 = 3 x 5 (late)\n", "")


def test_a_consumer_that_is_killed_while_it_waits(place: Place) -> None:
    with place.serving():
        with place.consuming("victim") as victim:
            assert place.produce("6") == (0, "6 = 2 x 3 (victim)\n", "")
            victim.kill()
            victim.wait()
        with place.consuming("heir"):
            place.wait_for_clients(1)
            assert place.produce("10") == (0, "10 = 2 x 5 (heir)\n", "")


def test_another_key(place: Place) -> None:
    with place.serving():
        place.key_file.write_text("something else")
        for name, words in (("producer", ["6"]), ("consumer", [])):
            with place.start(name, *words) as program:
                code, output, errors = ended(program)
            assert (code, output) == (1, "")
            assert errors.startswith(f"{name}: ")
            assert errors.count("\n") == 1


def test_the_server_has_gone(place: Place) -> None:
    with place.serving() as server:
        server.terminate()
        server.wait(SECONDS)
    code, output, errors = place.produce("6")
    assert (code, output) == (1, "")
    assert errors.startswith("producer: ")
    assert errors.count("\n") == 1


def test_the_port_is_taken(place: Place) -> None:
    with place.serving(), place.start("server") as second:
        code, output, errors = ended(second)
        assert (code, output) == (1, "")
        assert errors.startswith("server: ")
        assert errors.count("\n") == 1


def test_ctrl_c_of_the_clients(place: Place) -> None:
    with place.serving(), place.consuming("ada") as consumer:
        consumer.send_signal(signal.SIGINT)
        assert ended(consumer) == (130, "", "")


def test_the_command_serves_the_same_class(tmp_path: Path) -> None:
    """``python -m processing_managers serve`` needs no program of its own."""
    place = Place(tmp_path, tls=False)
    options = ["--address", "127.0.0.1:0", "--authkey-file", str(place.key_file)]
    with subprocess.Popen(
        [sys.executable, "-m", "processing_managers", "serve", "server:QueueServer", *options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=FOLDER,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    ) as server:
        try:
            assert server.stdout is not None
            place.port = server.stdout.readline().rpartition(":")[2].strip()
            with place.consuming("ada"):
                assert place.produce("6") == (0, "6 = 2 x 3 (ada)\n", "")
                server.terminate()
                assert server.wait(SECONDS) == 0
        finally:
            server.kill()
