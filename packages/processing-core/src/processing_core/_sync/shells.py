"""Owns what the public classes have in common: methods that are those of the semaphore within.

An object has slots by the names of the methods, and in them the semaphore's own bound methods. A
call, and a ``with`` statement too, so comes to the code in C without a frame of Python in between;
and nothing refers in a circle. A subclass may define the methods as it likes.
"""

from __future__ import annotations

import threading

from processing_core._process import current_process
from processing_core._serialize.packer import register_reducer
from processing_core.errors import SharingError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn

    from processing_core._platform.semlocks import SemaphoreLike

__all__ = ["Shared", "Shell", "fit", "owner_of"]


class Shared:
    """An object that processes share: passed to children and sent, but not pickled otherwise."""

    __slots__ = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Unless it says itself how it is to be pickled.
        if cls.__reduce__ is Shared.__reduce__ and cls.__reduce_ex__ is object.__reduce_ex__:
            register_reducer(cls, _reduce)

    def _parts(self) -> tuple[Any, ...]:
        """What another process needs to make the same object."""
        raise NotImplementedError

    def _assemble(self, *parts: Any) -> None:
        """Become the object of these parts."""
        raise NotImplementedError

    def __reduce__(self) -> NoReturn:
        raise SharingError(
            f"a {type(self).__name__} can be passed to a child process, and sent through "
            "connections and queues, but it cannot be pickled otherwise"
        )


def _reduce(shared: Shared) -> tuple[Any, ...]:
    # A subclass may have attributes of its own.
    return _rebuild, (type(shared), shared._parts(), getattr(shared, "__dict__", None))


def _rebuild(cls: type[Shared], parts: tuple[Any, ...], attributes: dict[str, Any] | None) -> Any:
    shared = cls.__new__(cls)
    shared._assemble(*parts)
    if attributes:
        vars(shared).update(attributes)
    return shared


class Shell(Shared):
    """What is acquired and released."""

    # Whether assigning to the names of the methods comes to the slots.
    _plain = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._plain = all(getattr(cls, name) is slot for name, slot in _SLOTS.items())

    if TYPE_CHECKING:
        _semlock: SemaphoreLike

        def acquire(self, block: bool = True, timeout: float | None = None) -> bool: ...
        def release(self) -> None: ...
        def __enter__(self) -> bool: ...
        def __exit__(
            self,
            kind: type[BaseException] | None = None,
            error: BaseException | None = None,
            traceback: TracebackType | None = None,
            /,
        ) -> None: ...
    else:
        __slots__ = {
            "__enter__": "As acquire().",
            "__exit__": "As release().",
            "__weakref__": "",
            "_semlock": "The semaphore within.",
            "acquire": """acquire(block=True, timeout=None)

            Acquire it; returns whether that was done.

            :param block: whether to wait until it can be done
            :param timeout: for how many seconds at most; None without limit, less than zero is zero

            A signal handler that raises while this waits ends the wait.
            """,
            "release": """release()

            Release it, once.
            """,
        }

    def _parts(self) -> tuple[Any, ...]:
        return (self._semlock,)

    def _assemble(self, *parts: Any) -> None:
        fit(self, *parts)


# The slots themselves, for subclasses that have methods of these names.
_NAMES = ("acquire", "release", "__enter__", "__exit__")
_SLOTS = {name: Shell.__dict__[name] for name in _NAMES}


def fit(shell: Any, semlock: SemaphoreLike) -> None:
    """Give a shell its semaphore."""
    shell._semlock = semlock
    if shell._plain:
        # Entering is acquiring, without arguments.
        shell.acquire = shell.__enter__ = semlock.acquire
        shell.release = semlock.release
        shell.__exit__ = semlock.__exit__
    else:
        for name, slot in _SLOTS.items():
            slot.__set__(shell, getattr(semlock, name))


def owner_of(semlock: SemaphoreLike) -> tuple[str, int | str]:
    """Who holds a lock and how often, for people to read."""
    if semlock._is_mine():
        name = current_process().name
        thread = threading.current_thread().name
        return name if thread == "MainThread" else f"{name}|{thread}", semlock._count()
    if semlock._get_value() == 1:
        return "None", 0
    return ("SomeOtherThread" if semlock._count() > 0 else "SomeOtherProcess"), "nonzero"
