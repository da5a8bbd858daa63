"""What the tests of ``processing.dummy`` run in processes and in threads; imported by children.

``flavour`` is a context: of a start method, or that of threads.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import processing
import processing.dummy


def end(how: str) -> None:
    if how == "error":
        raise ValueError("on purpose")
    if how == "text":
        sys.exit("a last word")
    if how != "return":
        sys.exit({"none": None, "three": 3, "wrapped": 256 + 4, "minus": -1}[how])


def tell(flavour: Any, end: Any) -> None:
    me, parent = flavour.current_process(), flavour.parent_process()
    end.send((me.name, me.daemon, me.pid, me.ident, me.is_alive(), me.exitcode, bytes(me.authkey)))
    end.send((parent.name, parent.pid))
    child = flavour.Process(target=end.send, args=("child",))
    grandchild = (child.name, child.daemon)
    child.start()
    child.join()
    end.send(grandchild)


def tell_thread(flavour: Any, end: Any) -> None:
    def tell_name() -> None:
        end.send(flavour.current_process().name)

    thread = threading.Thread(target=tell_name)
    thread.start()
    thread.join()


def family(flavour: Any, end: Any, go: Any) -> None:
    """Start a child that outlives what this function does."""
    child = flavour.Process(target=wait_and_send, args=(go, end, "late"), daemon=False)
    child.start()
    end.send(len(flavour.active_children()))


def wait_and_send(event: Any, end: Any, message: object) -> None:
    assert event.wait(30)
    end.send(message)


def echo(end: Any) -> None:
    """Send back what comes, until the other end is closed."""
    try:
        while True:
            end.send(end.recv())
    except EOFError:
        return


def join_self(flavour: Any, end: Any) -> None:
    try:
        flavour.current_process().join()
    except AssertionError as error:
        end.send(str(error))


def wait_for(event: Any) -> None:
    assert event.wait(30)


def take_and_end(lock: Any) -> None:
    assert lock.acquire()


def hold(lock: Any, taken: Any, go: Any) -> None:
    with lock:
        taken.set()
        assert go.wait(30)


def notify(condition: Any, ready: Any) -> None:
    assert ready.wait(30)
    with condition:
        condition.notify()


def meet(barrier: Any, places: Any) -> None:
    places.put(barrier.wait(30))


def add(number: Any, times: int) -> None:
    for _ in range(times):
        with number.get_lock():
            number.value += 1


def fill(array: Any) -> None:
    for index in range(len(array)):
        array[index] = index**2


def put_and_close(queue: Any, items: list[int]) -> None:
    for item in items:
        queue.put(item)
    queue.close()
    queue.join_thread()
    try:
        queue.put(0)
    except ValueError:
        return
    raise AssertionError("a queue that is closed takes items")


def work_off(queue: Any, results: Any) -> None:
    for item in iter(queue.get, None):
        results.put(item * 2)
        queue.task_done()
    queue.task_done()


def fill_managed(numbers: Any, words: Any, space: Any, value: Any, lock: Any) -> None:
    with lock:
        numbers.append(4)
        words["four"] = 4
        space.x += 1
        value.value += 1


def square(number: int) -> int:
    return number**2


def fail(number: int) -> int:
    raise ValueError(f"no {number}")


def worker_name(flavour: Any) -> str:
    name: str = flavour.current_process().name
    return name


class Mark:
    value = 0


def mark(value: int) -> None:
    Mark.value = value


def marked(number: int) -> int:
    return Mark.value + number


class WithProcesses:
    """The base of what is made for a flavour, whose classes have to be found by children."""

    end: Any

    def run(self) -> None:
        echo(self.end)


class EchoProcess(WithProcesses, processing.Process):
    """An end of a connection as an attribute."""

    def __init__(self, end: Any, **options: Any) -> None:
        super().__init__(**options)
        self.end = end


class EchoThread(WithProcesses, processing.dummy.Process):
    """The same for threads."""

    def __init__(self, end: Any, **options: Any) -> None:
        super().__init__(**options)
        self.end = end
