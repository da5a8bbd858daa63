"""What type checkers and editors make of programs that use the library: not run, but checked.

mypy reads it with all the tests, pyright in `nox -s verifytypes`. Wrong uses carry a comment for
each of the two, which complain of comments that are not needed.
"""

# pyright: strict

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import assert_type

import processing
import processing as multiprocessing
import processing.connection
import processing.pool
import processing.shared_memory
import processing.sharedctypes
from processing import Connection, Lock, Pipe, Process, Queue, currentProcess
from processing.connection import Client, Listener, wait
from processing.queues import Empty


def greet(name: str, times: int = 1) -> None:
    print(name * times)


class Worker(Process):
    def __init__(self, numbers: Queue[int]) -> None:
        super().__init__(name="worker")
        self.numbers = numbers

    def run(self) -> None:
        try:
            assert_type(self.numbers.get(timeout=1.0), int)
        except Empty:
            return


def processes() -> None:
    process = Process(target=greet, args=("x", 2), daemon=True)
    Process(target=greet, args=(2,))  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
    process.start()
    process.join(timeout=2.5)
    assert_type(process.exitcode, int | None)
    assert_type(process.getExitCode(), int | None)
    assert_type(process.isAlive(), bool)
    assert_type(process.is_alive(), bool)
    assert_type(process.pid, int | None)
    assert_type(process.name, str)
    assert_type(processing.activeChildren(), list[Process])
    assert_type(currentProcess(), Process)
    assert_type(multiprocessing.cpu_count(), int)
    process.nonsense()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def queues() -> None:
    numbers: Queue[int] = Queue(maxsize=3)
    numbers.put(1)
    numbers.put("one")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    numbers.putMany([1, 2])
    assert_type(numbers.get(), int)
    assert_type(numbers.getNoWait(), int)
    assert_type(numbers.qsize(), int)
    Worker(numbers).start()
    joinable: processing.JoinableQueue[bytes] = processing.JoinableQueue()
    joinable.task_done()


def pipes(path: str) -> None:
    ours, theirs = Pipe()
    ours.send({"any": "thing"})
    assert_type(theirs.poll(0.5), bool)
    assert_type(theirs.recvBytes(), bytes)
    assert_type(theirs.recv_bytes(), bytes)
    assert_type(theirs.fileno(), int)
    ready = wait([ours, theirs], timeout=0)
    assert_type(len(ready), int)
    with Listener(path, authkey=b"key") as listener, Client(path, authkey="key") as client:
        accepted: Connection[int, str] = listener.accept()
        accepted.send(1)
        accepted.send("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(accepted.recv(), str)
        client.close()


async def coroutines(connection: Connection[int, str]) -> None:
    await connection.asend(3)
    assert_type(await asyncio.wait_for(connection.arecv(), 1.0), str)


def locks() -> None:
    lock = Lock()
    with lock:
        pass
    assert_type(lock.acquire(block=False), bool)
    assert_type(lock.acquire(True, 2.0), bool)
    condition = processing.Condition(processing.RLock())
    with condition:
        assert_type(condition.wait(0.1), bool)
        condition.notifyAll()
    event = processing.Event()
    assert_type(event.isSet(), bool)
    assert_type(event.wait(1.0), bool)
    assert_type(processing.Barrier(2).wait(), int)


def contexts() -> None:
    context = processing.get_context("spawn")
    process = context.Process(target=greet, args=("x",))
    process.start()
    answers: Queue[str] = context.Queue()
    answers.put("yes")
    assert_type(processing.get_all_start_methods(), list[str])
    assert_type(context.cpuCount(), int)
    processing.set_start_method("fork", force=True)
    processing.set_start_method(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def shared() -> None:
    number = processing.Value("i", 3)
    with number.get_lock():
        number.value += 1
    assert_type(number.value, int)
    numbers = processing.Array("d", [1.0, 2.0])
    assert_type(numbers[0], float)
    memory = processing.shared_memory.SharedMemory(create=True, size=10)
    assert_type(memory.name, str)
    assert_type(processing.sharedctypes.Value("d", lock=True).get_obj().value, float)


def pools() -> None:
    if sys.platform != "win32":  # there are no pools there yet
        with processing.Pool(2, greet, ("x",)) as pool:
            assert_type(pool, processing.pool.Pool)
            assert_type(pool.apply(len, ("x",)), int)
            result: processing.pool.AsyncResult[int] = pool.applyAsync(len, ("x",))
            assert_type(result.get(1.5), int)
            assert_type(pool.map(str, [1]), list[str])
            assert_type(list(pool.imapUnordered(str, [1])), list[str])
            # Wrong on purpose: the argument is no text.
            pool.apply(greet, (1,))  # type: ignore[arg-type]  # pyright: ignore[reportCallIssue, reportArgumentType]
            # Wrong on purpose: an argument is missing.
            pool.apply(greet)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        # Wrong on purpose: an initializer that does not take its arguments.
        processing.Pool(2, greet, (1,))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def results(pool: processing.pool.ThreadPool) -> None:
    if sys.platform != "win32":
        assert_type(await pool.apply_async(len, ("x",)), int)
        async for text in pool.imap(str, [1]):
            assert_type(text, str)


def errors() -> None:
    try:
        processing.connection.Client("nowhere")
    except (processing.AuthenticationError, processing.BufferTooShort) as error:
        assert_type(error, processing.AuthenticationError | processing.BufferTooShort)
    except processing.TimeoutError as error:
        as_builtin: TimeoutError = error
        as_ours: processing.ProcessError = error
        raise as_builtin from as_ours


def freezing(call: Callable[[], None] = processing.freezeSupport) -> None:
    call()
    processing.freeze_support()
