"""Owns what a scenario came to, and the table of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich import box
from rich.table import Table
from rich.text import Text

__all__ = ["Outcome", "table"]


@dataclass
class Outcome:
    """One scenario: how much was done, and what went wrong."""

    name: str
    method: str
    kills: int = 0
    stops: int = 0
    items: int = 0
    damaged: int = 0
    gaps: int = 0
    hangs: int = 0
    memory_before: int | None = None
    memory_after: int | None = None
    seconds: float = 0.0
    note: str = ""
    violations: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything held that must hold."""
        return not self.violations


def memory(value: int | None) -> str:
    """A number of bytes, where it is known."""
    return "" if value is None else f"{value:,}"


def table(outcomes: Sequence[Outcome]) -> Table:
    """All scenarios, one line each."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column("scenario", no_wrap=True)
    made.add_column("start")
    for title in ("kills", "stops", "items", "damaged", "gaps", "hangs"):
        made.add_column(title, justify="right")
    made.add_column("bytes before", justify="right")
    made.add_column("after", justify="right")
    made.add_column("s", justify="right")
    made.add_column("")
    for one in outcomes:
        made.add_row(
            one.name,
            one.method,
            *(f"{number:,}" for number in (one.kills, one.stops, one.items)),
            *(f"{number:,}" for number in (one.damaged, one.gaps, one.hangs)),
            memory(one.memory_before),
            memory(one.memory_after),
            f"{one.seconds:.1f}",
            Text("held", style="green") if one.passed else Text("VIOLATED", style="bold red"),
        )
    return made
