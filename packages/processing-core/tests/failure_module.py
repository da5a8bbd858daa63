"""An exception for test_failures.py that the other side does not know."""


class LocalError(Exception):
    """Is taken away before it is unpickled."""
