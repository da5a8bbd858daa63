"""Owns asking processing-core for the one process that it keeps between uses: the fork server.

Nothing is guessed from names: the library's own record of it is read. A library that was not
imported keeps nothing.
"""

from __future__ import annotations

import sys

from processing_testkit.leaks import Helper

__all__ = ["forkserver_helper"]


def forkserver_helper() -> Helper:
    """The running fork server's pid and the descriptors that lead to it."""
    module = sys.modules.get("processing_core._runtime")
    server = None if module is None else module.runtime.forkserver
    if server is None:
        return Helper()
    return Helper(
        pids=frozenset() if server.pid is None else frozenset([server.pid]),
        descriptors=frozenset(server.descriptors()),
    )
