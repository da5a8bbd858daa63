"""What runs in the processes that the tests of coroutines start."""

from __future__ import annotations

from typing import Any

from processing_core.connection import Client

__all__ = ["double_over_network", "echo"]


def echo(connection: Any) -> None:
    """Send every object back, until the end."""
    while True:
        try:
            item = connection.recv()
        except EOFError:
            break
        connection.send(item)
    connection.close()


def double_over_network(address: Any, options: dict[str, Any], numbers: list[int]) -> None:
    """Have a server double numbers; exit with 1 if it cannot."""
    with Client(address, **options) as connection:
        for number in numbers:
            connection.send(number)
            assert connection.recv() == 2 * number
