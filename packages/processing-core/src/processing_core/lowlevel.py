"""What the sibling distributions build upon; stable within a major version.

Programs rarely need it.
"""

from __future__ import annotations

import os
import sys

from processing_core._children import on_child_end
from processing_core._cpickle import PROTOCOL, PickleBuffer, dumps, loads
from processing_core._lifecycle import ExitCallback, at_exit, on_fork, on_fork_in_child
from processing_core._log import info as log_info
from processing_core._log import warning as log_warning
from processing_core._platform.cgroups import folders as cgroup_folders
from processing_core._platform.cpus import cgroup_limit as cgroup_cpus
from processing_core._platform.memory import available_bytes as available_memory
from processing_core._process import log_exit_as
from processing_core._serialize.failures import load_failure, pack_failure
from processing_core._serialize.packer import (
    Companion,
    Packer,
    register_carrier,
    register_family_reducer,
    register_reducer,
)
from processing_core._serialize.packing import pack
from processing_core._serialize.transfer import is_starting_child, take_descriptor
from processing_core._start.hooks import on_child_start

if sys.platform != "win32":
    from processing_core._generic import ItemT
    from processing_core._memory.arena import Block, allocate, allocate_filled
    from processing_core._platform import holds
    from processing_core._platform.patience import Patience
    from processing_core._platform.pthreads import pthreads
    from processing_core._platform.shared_file import SharedFile
    from processing_core._platform.signals import block_interrupts, handle_interrupts, restore_mask
    from processing_core._ring.messages import MessageChannel
    from processing_core._ring.receiver import Receiver
    from processing_core._sync.semaphores import (
        ROOM_BYTES,
        MemorySemaphore,
        room_behind,
    )

    __all__ = [
        "PROTOCOL",
        "ROOM_BYTES",
        "Block",
        "Companion",
        "ExitCallback",
        "MemorySemaphore",
        "Packer",
        "Patience",
        "PickleBuffer",
        "Receiver",
        "SharedFile",
        "allocate",
        "allocate_filled",
        "at_exit",
        "available_memory",
        "block_interrupts",
        "cgroup_cpus",
        "cgroup_folders",
        "dumps",
        "features",
        "handle_interrupts",
        "is_starting_child",
        "load_failure",
        "loads",
        "log_exit_as",
        "log_info",
        "log_warning",
        "on_child_end",
        "on_child_start",
        "on_fork",
        "on_fork_in_child",
        "pack",
        "pack_failure",
        "put_packed",
        "register_carrier",
        "register_family_reducer",
        "register_reducer",
        "restore_mask",
        "room_behind",
        "take_descriptor",
    ]

    def put_packed(channel: MessageChannel[ItemT], packed: bytes | Packer) -> None:
        """Put what ``pack`` has made of an object on a queue without limits.

        So an object is pickled at one time and sent at another, and may be sent again.

        :raises MemoryError: when there is no memory for it; nothing has changed
        """
        channel._put_packed(packed)

    def features() -> dict[str, bool]:
        """What the platform has of the things that the library has a slower substitute for.

        ``robust_mutexes`` and ``unnamed_semaphores``: glibc's, by ctypes. ``anonymous_memory``:
        files in memory that have no name and take no room before they are written. ``holds``: the
        kernel tells which shared memory others still use, so that it can be used again.
        """
        native = pthreads() is not None
        own = os.open(os.devnull, os.O_RDWR)
        try:
            again = holds.reopen(own)
            if again is not None:
                os.close(again)
        finally:
            os.close(own)
        return {
            "anonymous_memory": hasattr(os, "memfd_create"),
            "holds": again is not None,
            "robust_mutexes": native,
            "unnamed_semaphores": native,
        }
else:
    __all__ = [
        "PROTOCOL",
        "Companion",
        "ExitCallback",
        "Packer",
        "PickleBuffer",
        "at_exit",
        "available_memory",
        "cgroup_cpus",
        "cgroup_folders",
        "dumps",
        "features",
        "is_starting_child",
        "load_failure",
        "loads",
        "log_exit_as",
        "log_info",
        "log_warning",
        "on_child_end",
        "on_child_start",
        "on_fork",
        "on_fork_in_child",
        "pack",
        "pack_failure",
        "register_carrier",
        "register_family_reducer",
        "register_reducer",
        "take_descriptor",
    ]

    def features() -> dict[str, bool]:
        """What the platform has of the things that the library has a substitute for."""
        names = ("anonymous_memory", "holds", "robust_mutexes", "unnamed_semaphores")
        return dict.fromkeys(names, False)
