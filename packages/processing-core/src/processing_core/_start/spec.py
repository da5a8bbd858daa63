"""Owns what a child must be told that does not inherit its parent's memory."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from types import BuiltinFunctionType, FunctionType, MethodType

from processing_core._cpickle import PROTOCOL, dumps, loads
from processing_core._runtime import runtime
from processing_core._serialize.packer import Packer
from processing_core._serialize.transfer import Arrival, arriving, starting_child
from processing_core._start import hooks, standard_library
from processing_core._start.main_module import MainModule, describe, is_reproducible, restore
from processing_core.errors import SerializationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from typing_extensions import Buffer

    from processing_core.abc import KnownServer, Startable

__all__ = ["ChildSpec", "build", "enter"]


class ChildSpec:
    """The message that starts a child: settings, then the process object, then descriptors.

    The settings are pickled apart, because the process object can be rebuilt only once they apply.
    So are the hooks among them, whose values may be of classes that the main module defines.
    """

    __slots__ = ("_companions", "descriptors", "payload")

    def __init__(self, payload: bytes, descriptors: list[int], companions: object) -> None:
        self.payload = payload
        self.descriptors = descriptors
        # Descriptors that are made for the message are closed when it goes.
        self._companions = companions


class StartPacker(Packer):
    """Pickles for a child that is being started."""

    def __init__(self) -> None:
        super().__init__(out_of_band=False)

    def reducer_override(self, obj: Any) -> Any:
        if (
            isinstance(obj, (FunctionType, type))
            and getattr(obj, "__module__", None) == "__main__"
            and not is_reproducible()
        ):
            return _by_value(obj)
        if (reduce := standard_library.reducer_of(type(obj))) is not None:
            return reduce(obj)
        return super().reducer_override(obj)

    def dump(self, obj: Any) -> None:
        with standard_library.accepting(self):
            super().dump(obj)


def _by_value(obj: Any) -> Any:
    try:
        import cloudpickle
    except ImportError:
        raise SerializationError(
            f"{obj.__qualname__} is defined in a __main__ that a child cannot run again (typed at "
            "a prompt, in a notebook, piped in or given with -c). Put it into a file, use the "
            "start method fork, or install processing-core[cloudpickle]"
        ) from None
    return loads, (cloudpickle.dumps(obj),)  # type: ignore[no-untyped-call]


@contextmanager
def fork_server_in_use() -> Iterator[KnownServer | None]:
    """The fork server that this process knows, if any.

    Its descriptor stays open meanwhile, even if another thread finds the server dead.
    """
    with runtime.forkserver_lock:
        server = runtime.forkserver
        if server is not None:
            server.users += 1
    try:
        yield server
    finally:
        if server is not None:
            with runtime.forkserver_lock:
                server.users -= 1
                unused = server.users == 0 and runtime.forkserver is not server
            if unused:
                server.close()


def build(process: Startable, *, server: KnownServer | None, with_environment: bool) -> ChildSpec:
    """What the child must be told to become ``process``; ``server`` is the one that it may use.

    :raises SerializationError: when something does not pickle; names it and where it was found
    """
    packer = StartPacker()
    extra = [] if server is None else server.descriptors()
    with starting_child():
        try:
            packer.dump(process)
        except Exception as error:
            raise _named(process, error) from error
        hooked = _pack_hooks(process)
        settings = {
            "sys_path": [os.getcwd() if entry == "" else entry for entry in sys.path],
            "sys_argv": sys.argv,
            "cwd": _current_folder(),
            "environment": dict(os.environ) if with_environment else None,
            "main": (describe().kind, describe().origin),
            "method": runtime.start_method,
            "executable": runtime.executable,
            "preload": runtime.preload,
            "hooks": b"".join(hooked.pieces),
            "hooked": len(hooked.descriptors),
            "forkserver": len(extra),
        }
        head = dumps(settings, PROTOCOL)
    body = b"".join(packer.pieces)
    payload = len(head).to_bytes(8, "big") + head + body
    descriptors = [*packer.descriptors, *hooked.descriptors, *extra]
    return ChildSpec(payload, descriptors, (packer.companions, hooked.companions))


def _pack_hooks(process: Startable) -> StartPacker:
    packer = StartPacker()
    exported = hooks.exported()
    try:
        packer.dump(exported)
    except Exception as error:
        for name, *parts in exported:
            for part in parts:
                if (reason := _failure(part)) is not None:
                    raise SerializationError(
                        f"{process.name} cannot be started by this start method: what the hook "
                        f"{name!r} passes on to children does not pickle: {reason}"
                    ) from error
        raise
    return packer


def _current_folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None  # it was removed; the child begins where it is started


def enter(payload: Buffer, descriptors: list[int]) -> Startable:
    """The child's side: apply the settings and rebuild the process object."""
    view = memoryview(payload)
    size = int.from_bytes(view[:8], "big")
    settings = loads(view[8 : 8 + size])
    if settings["cwd"] is not None:
        os.chdir(settings["cwd"])
    if settings["environment"] is not None and settings["environment"] != dict(os.environ):
        os.environ.clear()
        os.environ.update(settings["environment"])
    sys.path[:] = settings["sys_path"]
    sys.argv[:] = settings["sys_argv"]
    runtime.start_method = settings["method"]
    runtime.executable = settings["executable"]
    runtime.preload = settings["preload"]
    if settings["forkserver"] and sys.platform != "win32":
        # Only here: most children start nothing, and forkserver imports this module.
        from processing_core._start.forkserver import ForkServer

        runtime.forkserver = ForkServer.adopt(_split(descriptors, settings["forkserver"]))
    hooked = Arrival(_split(descriptors, settings["hooked"]))
    restore(MainModule(*settings["main"]))
    with arriving(hooked):
        hooks.apply(loads(settings["hooks"]))
    with arriving(Arrival(descriptors)):
        process: Startable = loads(view[8 + size :])
    return process


def _split(descriptors: list[int], count: int) -> list[int]:
    """Take the last ones off the list."""
    start = len(descriptors) - count
    taken = descriptors[start:]
    del descriptors[start:]
    return taken


def _named(process: Startable, error: Exception) -> SerializationError:
    """The error for a process that does not pickle, with the place of the culprit."""
    if isinstance(error, SerializationError) and type(error) is not SerializationError:
        return error
    path, culprit, reason = _find_culprit(process)
    return SerializationError(
        f"{process.name} cannot be started by this start method: {path} does not pickle: "
        f"{type(culprit).__name__} object {_shortened(culprit)}: {reason or error}"
    )


def _shortened(obj: object) -> str:
    try:
        text = repr(obj)
    except Exception as error:  # noqa: BLE001 - the user's code, asked only for the message
        return f"(its repr raises {type(error).__name__})"
    return text if len(text) <= 200 else text[:197] + "..."


def _find_culprit(process: Startable) -> tuple[str, object, Exception | None]:
    state = process.__getstate__()
    state = dict(state) if isinstance(state, dict) else {}
    parts: list[tuple[str, object]] = [("target", state.pop("_target", None))]
    parts += [(f"args[{i}]", one) for i, one in enumerate(state.pop("_args", ()))]
    parts += [(f"kwargs[{key!r}]", one) for key, one in state.pop("_kwargs", {}).items()]
    parts += [(f"self.{name}", one) for name, one in state.items()]
    for path, part in parts:
        if (reason := _failure(part)) is not None:
            return _descend(path, part, reason, {id(process)})
    if (reason := _failure(type(process))) is not None:
        return "the class of the process", type(process), reason
    return "the process object", process, None


def _descend(
    path: str, obj: object, reason: Exception, seen: set[int]
) -> tuple[str, object, Exception]:
    """Follow the failure to the innermost object that fails by itself."""
    seen.add(id(obj))
    for step, part in _parts(obj):
        if id(part) not in seen and (inner := _failure(part)) is not None:
            return _descend(path + step, part, inner, seen)
    return path, obj, reason


def _parts(obj: object) -> list[tuple[str, object]]:
    if isinstance(obj, (list, tuple)):
        return [(f"[{index}]", part) for index, part in enumerate(obj)]
    if isinstance(obj, dict):
        keys: list[tuple[str, object]] = [(f" key {key!r}", key) for key in obj]
        return keys + [(f"[{key!r}]", part) for key, part in obj.items()]
    if isinstance(obj, (set, frozenset)):
        return [(" member", part) for part in obj]
    if isinstance(obj, MethodType):
        return [(".__self__", obj.__self__)]
    if isinstance(obj, (type, FunctionType, BuiltinFunctionType)):
        return []
    parts = [(f".{name}", part) for name, part in getattr(obj, "__dict__", {}).items()]
    if hasattr(obj, "func") and hasattr(obj, "args"):  # functools.partial
        parts += [(".func", obj.func), (".args", obj.args)]
        parts += [(".keywords", getattr(obj, "keywords", {}))]
    return parts


def _failure(obj: object) -> Exception | None:
    try:
        StartPacker().dump(obj)
    except Exception as error:  # noqa: BLE001 - returned
        return error
    return None
