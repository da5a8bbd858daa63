"""The one module that calls glibc's pthreads: robust mutexes and unnamed semaphores, by ctypes.

Both are plain memory, shared by whoever maps it. A robust mutex (pthread_mutexattr_setrobust(3)) is
given to the next one who locks it when the thread that holds it ends, killed or not; the kernel
sees to that. An unnamed semaphore (sem_init(3)) has nothing that could be left behind.

ctypes is imported when first something is asked for. Where it is missing, or the C library is not
glibc, ``pthreads()`` is None and the fallbacks take over: musl's sem_close must not be given an
unnamed semaphore, which CPython does, and other systems have no robust mutexes.
"""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from mmap import mmap
    from typing import Any

__all__ = [
    "HOLDER_MASK",
    "MUTEX_BYTES",
    "SEMAPHORE_BYTES",
    "SEMAPHORE_END",
    "Pthreads",
    "address_of",
    "object_of",
    "pthreads",
]

# sizeof(pthread_mutex_t) is at most 48 and sizeof(sem_t) 32 on every glibc platform; both are given
# a cache line of their own.
MUTEX_BYTES = 64
SEMAPHORE_BYTES = 64
# Where there is room behind a semaphore.
SEMAPHORE_END = 32

_PROCESS_SHARED = 1
_RECURSIVE = 1  # PTHREAD_MUTEX_RECURSIVE_NP: its owner may lock it again
_ERROR_CHECK = 2  # PTHREAD_MUTEX_ERRORCHECK_NP: locking it twice is an error, not a deadlock
_ROBUST = 1
_CLOCK_MONOTONIC = 1

# A robust mutex begins with two unsigned ints: the thread that holds it (gettid(2)), zero without
# one, with two bits for the kernel (FUTEX_TID_MASK, get_robust_list(2)); and how often it does.
HOLDER_MASK = 0x3FFFFFFF


class Pthreads:
    """The functions, each taking the address of a mutex or a semaphore.

    ``trylock`` and ``unlock`` keep the GIL, which makes them cheap; they return 0 or an error
    number: EBUSY when somebody holds it, EDEADLK when this thread does, EOWNERDEAD when it was
    taken over from one that ended (then ``consistent`` must be called), EPERM from unlock when this
    thread does not hold it. ``timedlock(address, seconds)`` waits without the GIL and returns
    ETIMEDOUT as well.

    ``trylock_by`` and ``unlock_by`` take what ``reference`` returns instead of an address: ctypes
    passes that on a quarter faster (measured: 206 against 279 ns for the pair), which is for the
    hottest paths.
    """

    __slots__ = (
        "consistent",
        "init_mutex",
        "init_semaphore",
        "reference",
        "timedlock",
        "trylock",
        "trylock_by",
        "unlock",
        "unlock_by",
    )

    def __init__(self) -> None:
        import ctypes

        class Timespec(ctypes.Structure):
            _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))

        holding = ctypes.PyDLL(None)
        releasing = ctypes.CDLL(None)
        address = ctypes.c_void_p
        self.trylock: Callable[[int], int] = holding.pthread_mutex_trylock
        self.unlock: Callable[[int], int] = holding.pthread_mutex_unlock
        self.consistent: Callable[[int], int] = holding.pthread_mutex_consistent
        for function in (self.trylock, self.unlock, self.consistent):
            function.argtypes = (address,)

        unchecked = ctypes.PyDLL(None)
        self.trylock_by: Callable[[object], int] = unchecked.pthread_mutex_trylock
        self.unlock_by: Callable[[object], int] = unchecked.pthread_mutex_unlock

        def reference(memory: mmap, offset: int) -> object:
            """A place in a mapping, which the reference keeps where it is."""
            return ctypes.byref(ctypes.c_char.from_buffer(memory, offset))

        self.reference = reference

        checking = self._attributes(_ERROR_CHECK)
        counting = self._attributes(_RECURSIVE)
        init_mutex = holding.pthread_mutex_init
        init_mutex.argtypes = (address, address)

        def init_mutex_at(where: int, recursive: bool = False) -> None:
            """Make the memory a mutex that nobody holds."""
            if code := init_mutex(where, counting if recursive else checking):
                raise OSError(code, os.strerror(code))

        self.init_mutex = init_mutex_at

        init_semaphore = holding.sem_init
        init_semaphore.argtypes = (address, ctypes.c_int, ctypes.c_uint)

        def init_semaphore_at(where: int, value: int) -> None:
            """Make the memory a semaphore."""
            if init_semaphore(where, _PROCESS_SHARED, value):
                raise OSError(errno.EINVAL, f"the system has no semaphore of value {value}")

        self.init_semaphore = init_semaphore_at

        clocklock = getattr(releasing, "pthread_mutex_clocklock", None)
        timedlock = releasing.pthread_mutex_timedlock

        def timedlock_for(where: int, seconds: float) -> int:
            # glibc 2.30 and later can wait by the monotonic clock; before, setting the system's
            # clock makes a wait longer or shorter.
            import time

            end = seconds + (time.monotonic() if clocklock is not None else time.time())
            moment = Timespec(int(end), int((end - int(end)) * 1e9))
            if clocklock is not None:
                code = clocklock(address(where), _CLOCK_MONOTONIC, ctypes.byref(moment))
            else:
                code = timedlock(address(where), ctypes.byref(moment))
            return int(code)

        self.timedlock: Callable[[int, float], int] = timedlock_for

    @staticmethod
    def _attributes(kind: int) -> object:
        import ctypes

        holding = ctypes.PyDLL(None)
        attributes = (ctypes.c_char * 64)()
        for code in (
            holding.pthread_mutexattr_init(attributes),
            holding.pthread_mutexattr_setpshared(attributes, _PROCESS_SHARED),
            holding.pthread_mutexattr_setrobust(attributes, _ROBUST),
            holding.pthread_mutexattr_settype(attributes, kind),
        ):
            if code:
                raise OSError(code, os.strerror(code))
        return attributes

    @staticmethod
    def unlocking(
        after: Callable[[int, object, tuple[Any, ...]], None], ignored: int
    ) -> Callable[..., None]:
        """A function that unlocks before anything else happens, and then calls ``after``: a signal
        handler that raises, which only can while Python runs, finds the mutex unlocked.

        Its arguments are an object that has ``_as_parameter_``, the address of the mutex, and so
        many more, whatever they are. ``after`` gets the error number, the function and these.
        """
        import ctypes

        # Arguments that a function in C does not know of do no harm: its caller removes them.
        arguments = [ctypes.py_object] * ignored
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *arguments)
        function: Any = prototype(("pthread_mutex_unlock", ctypes.PyDLL(None)))
        function.errcheck = after
        made: Callable[..., None] = function
        return made


class _Loaded:
    tried = False
    pthreads: Pthreads | None = None


def pthreads() -> Pthreads | None:
    """The functions; None where the platform lacks something. Found out once."""
    if not _Loaded.tried:
        _Loaded.pthreads = _load()
        _Loaded.tried = True
    return _Loaded.pthreads


def _load() -> Pthreads | None:
    if not sys.platform.startswith("linux") or sys.implementation.name != "cpython":
        return None
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return None  # another C library
    if not libc:
        return None
    try:
        return Pthreads()
    except (ImportError, AttributeError, OSError):
        return None  # an interpreter built without ctypes, or a C library without these functions


def object_of(number: int) -> Any:
    """The object that has this ``id()``; there must be one."""
    import ctypes

    return ctypes.cast(number, ctypes.py_object).value


def address_of(memory: object) -> int:
    """The address of a writable buffer, which must not move or be unmapped while it is used."""
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(memory))  # type: ignore[arg-type]
