"""Owns what tests know about interactive sessions in documents: how to run and compare them."""

from __future__ import annotations

import re
import sys

assert sys.platform != "win32"

from processing_testkit.sessions import run_session

__all__ = ["masked", "run_again"]

# What differs from machine to machine and from run to run.
MASKS = [
    (re.compile(r"(manager bound to )('[^'\n]*')"), r"\1ADDRESS"),
    (re.compile(r"\b0x[0-9a-f]+\b"), "0xADDRESS"),
    (re.compile(r"\bpid[ =]\d+\b"), "pid N"),
]


def masked(session: str) -> str:
    """Return a session without what is no wording: addresses and process ids."""
    for pattern, replacement in MASKS:
        session = pattern.sub(replacement, session)
    return session.rstrip("\n")


def run_again(session: str, method: str | None = None, timeout: float = 30.0) -> str:
    """Type at a prompt what was typed in this session; returns the new session."""
    typed = [line[4:] for line in session.splitlines() if line.startswith((">>> ", "... "))]
    assert typed, "nothing was typed in this session"
    return run_session(typed, method=method, timeout=timeout, options=("-W", "error"))
