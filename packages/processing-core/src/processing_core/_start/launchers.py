"""Owns the way from the name of a start method to the function that starts a child by it.

Only the launcher in use is imported: a child needs none. The imports are statements, because what
freezes programs looks for those.
"""

from __future__ import annotations

import sys

from processing_core._start.methods import checked_method

TYPE_CHECKING = False
if TYPE_CHECKING:
    from processing_core.abc import Launcher

__all__ = ["launcher"]


def launcher(method: str) -> Launcher:
    """The launcher of a start method.

    :raises InvalidArgument: (a ValueError) when the platform has no such method
    """
    checked_method(method)
    if sys.platform == "win32":
        # Only here, as all of them: see above.
        from processing_core._start.spawn_windows import launch
    elif method == "fork":
        # Only here: see above.
        from processing_core._start.fork import launch
    elif method == "spawn":
        # Only here: see above.
        from processing_core._start.spawn import launch
    else:
        # Only here: see above.
        from processing_core._start.forkserver import launch
    return launch
