"""What runs in the workers of the tests."""

from __future__ import annotations

import contextvars
import marshal
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

assert sys.platform != "win32"

from processing_core import Queue, TimeoutError, current_process
from processing_pool import Pool, worker_state

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


def square(number: int) -> int:
    return number * number


def add(first: Any, second: Any = 0, *, third: Any = 0) -> Any:
    return first + second + third


def nothing() -> None:
    return


def same(thing: Any) -> Any:
    return thing


def pid_of_worker(_: object = None) -> int:
    return os.getpid()


def name_of_worker() -> str:
    return current_process().name


def fail(text: str) -> None:
    raise LookupError(text)


def fail_if_odd(number: int) -> int:
    if number % 2:
        raise LookupError(f"{number} is odd")
    return number


def sleep(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


def wait_for(path: str) -> str:
    """Wait until there is a file; a test makes it."""
    while not Path(path).exists():
        time.sleep(0.002)
    return path


def say_and_wait(queue: Queue[int], path: str) -> str:
    """Tell who has begun, and wait."""
    queue.put(os.getpid())
    return wait_for(path)


def say_and_hang(queue: Queue[int]) -> None:
    queue.put(os.getpid())
    hang()


def hang(*_: object) -> None:
    while True:
        time.sleep(60)


def hang_ignoring_sigterm(queue: Queue[int]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say_and_hang(queue)


def set_state(value: Any) -> None:
    worker_state()["value"] = value


def get_state() -> Any:
    return worker_state().get("value")


def append_line(path: str, line: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{line}\n")


def write_pid(path: str) -> None:
    append_line(path, str(os.getpid()))


class WritesAtEnd:
    """A finalizer."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self) -> None:
        write_pid(self.path)


def die_once(path: str, number: int) -> int:
    """Kill the worker at the first time."""
    if number == 0 and not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def count_up(limit: int) -> Iterator[int]:
    yield from range(limit)


def count_and_fail(limit: int) -> Iterator[int]:
    yield from range(limit)
    raise LookupError("the end")


def count_for_ever() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def large_values(count: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number]) * 100_000


def inner_pool(count: int) -> list[int]:
    with Pool(2) as pool:
        return pool.map(square, range(count))


def read_variable() -> str:
    return VARIABLE.get()


def grow(size: int) -> int:
    worker_state().setdefault("kept", []).append(bytearray(b"x") * size)
    return os.getpid()


class Local:
    """Fails where it is told to."""

    def __init__(self, act: Callable[..., object] | None = None, *, when: str = "") -> None:
        self.act = act
        self.when = when
        self.pid = os.getpid()

    def __call__(self, *_: object) -> None:
        return

    def __reduce__(self) -> tuple[Any, ...]:
        if self.when == "pickling" or (self.when == "pickling result" and os.getpid() != self.pid):
            assert self.act is not None
            self.act()
        return _load, (self.act, self.when)


def _load(act: Callable[..., object] | None, when: str) -> Local:
    if when.startswith("unpickling"):
        assert act is not None
        act()
    return Local(act, when=when)


def give(act: Callable[..., object], when: str) -> Any:
    """Return what fails."""
    return Local(act, when=when)


class BadError(Exception):
    """An exception that fails when it is pickled or unpickled."""

    def __init__(self, act: Callable[..., object], when: str) -> None:
        super().__init__("bad")
        self.act, self.when = act, when

    def __reduce__(self) -> tuple[Any, ...]:
        if self.when == "pickling":
            self.act()
        return _load_error, (self.act, self.when)


def _load_error(act: Callable[..., object], when: str) -> BadError:
    if when == "unpickling":
        act()
    return BadError(act, when)


def raise_bad(act: Callable[..., object], when: str) -> None:
    raise BadError(act, when)


# What saboteurs do


def do_raise(*_: object) -> None:
    raise LookupError("sabotage")


def do_exit(*_: object) -> None:
    sys.exit(3)


def do_leave(*_: object) -> None:
    os._exit(3)


def do_kill(*_: object) -> None:
    if sys.platform != "win32":
        os.kill(os.getpid(), signal.SIGKILL)


def do_crash(*_: object) -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)


def do_stop(*_: object) -> None:
    if sys.platform != "win32":
        os.kill(os.getpid(), signal.SIGSTOP)


def stop_with_lock_of_results() -> None:
    """Be stopped in the middle of telling something."""
    import gc

    from processing_pool._worker import _Worker

    worker = next(each for each in gc.get_objects() if type(each) is _Worker)
    worker._results._putting.run(do_stop)


def listen_for_ever(ready: Any, go: Any) -> None:
    """Return, and have a thread stop the process later, as if it began to listen to its queue."""
    import gc

    from processing_pool._worker import _Worker

    worker = next(each for each in gc.get_objects() if type(each) is _Worker)

    def stop_when_told() -> None:
        ready.send(True)
        go.recv()
        do_stop()
        go.recv()  # the signal may reach the other thread first

    def hold() -> None:
        worker._tasks._putting.run(stop_when_told)

    threading.Thread(target=hold, daemon=True).start()


def hold_first_message(taken: Any, go: Any) -> None:
    """An initializer: the worker waits after it has taken its first message from its queue."""
    from processing_pool import _worker

    class Waiting:
        def __getattr__(self, name: str) -> Any:
            return getattr(marshal, name)

        def loads(self, data: bytes) -> Any:
            vars(_worker)["marshal"] = marshal
            taken.send(True)
            go.recv()
            return marshal.loads(data)  # noqa: S302 - the pool's own message

    vars(_worker)["marshal"] = Waiting()


def do_exhaust(*_: object) -> None:
    if sys.platform != "win32":
        import resource

        limit = 1 << 30
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        bytearray(4 << 30)


def die_at_500(number: int) -> int:
    if number == 500:
        do_kill()
    return number


def count_and_die(limit: int) -> Iterator[int]:
    yield from range(limit)
    do_leave()


def unpicklable_values() -> Iterator[Any]:
    yield lambda: None


def raise_timeout_error(_: object) -> None:
    raise TimeoutError("the task's own")


def interrupt_a_program() -> tuple[int, str]:
    """Start a program that sends itself SIGINT; how it ended, and what it still said."""
    command = ["sh", "-c", "kill -INT $$; echo it goes on"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.returncode, outcome.stdout


def interrupt_worker() -> float:
    """As Ctrl-C does it; when that was."""
    signal.raise_signal(signal.SIGINT)
    return time.monotonic()


def clock(_: object = None) -> float:
    return time.monotonic()


def interrupt_at_3(number: int) -> float:
    return interrupt_worker() if number == 3 else clock()


def raise_it(error: type[BaseException], argument: object = "why") -> None:
    raise error(argument)


def raise_it_later(error: type[BaseException]) -> Iterator[int]:
    yield 1
    raise error


def threads_of_worker() -> int:
    return threading.active_count()


def read_variable_with(_: object) -> str:
    return VARIABLE.get()
