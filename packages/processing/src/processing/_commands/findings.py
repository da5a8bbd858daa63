"""Owns what a finding about this machine is, and how findings become JSON."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

__all__ = ["Finding", "State", "as_json", "worst"]

State = Literal["good", "limited", "missing"]
"""``limited``: by slower means, or up to a limit that is near. ``missing``: it does not work."""

ORDER: tuple[State, ...] = ("good", "limited", "missing")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What was found about one thing, in words and in figures, and what to do about it."""

    topic: str
    state: State
    found: str
    advice: str = ""
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)


def worst(findings: list[Finding]) -> State:
    """The worst state among the findings."""
    return max((finding.state for finding in findings), key=ORDER.index, default="good")


def as_json(findings: list[Finding]) -> list[dict[str, Any]]:
    """The findings as what JSON has."""
    return [dataclasses.asdict(finding) for finding in findings]
