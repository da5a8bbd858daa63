"""The group `network`: damaging is repeatable, and what goes wrong is noticed."""

from __future__ import annotations

import sys

assert sys.platform == "linux", "elsewhere conftest.py leaves this file out"

import pickle
import random
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import network_chaos
import network_machines
import network_poison
import run
from mutation import Mutator
from network_chaos import Scenario
from outcome import Outcome
from processing_core._network import challenge, framing, handshake


def play(name: str, role: str, inputs: int = 50) -> Outcome:
    until = time.monotonic() + 60
    return network_chaos.run(Scenario(name, role, inputs), random.Random(3), until, lambda: None)


def test_the_same_seed_damages_the_same() -> None:
    def some(seed: int) -> list[bytes]:
        mutator = Mutator(random.Random(seed), [b"a corpus of one"])
        return [mutator.damaged(b"what is to be damaged" * 5) for _ in range(200)]

    assert some(1) == some(1) != some(2)


def test_pieces_are_the_whole() -> None:
    mutator = Mutator(random.Random(1), [b"-"])
    data = bytes(range(256)) * 20
    for _ in range(20):
        assert b"".join(mutator.pieces(data)) == data


def test_there_are_enough_inputs() -> None:
    assert network_chaos.INPUTS >= 200_000
    assert sum(one.inputs for one in network_chaos.scenarios(1000)) < 2_000
    assert all(one.inputs for one in network_chaos.scenarios(1))


@pytest.mark.parametrize(
    "scenario", network_chaos.everything(), ids=lambda one: f"{one.name}-{one.role}"
)
def test_everything_holds(scenario: Scenario) -> None:
    outcome = play(scenario.name, scenario.role)
    assert outcome.violations == []
    assert outcome.items == 50


def test_a_handshake_that_lets_strangers_in_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "same", lambda first, second: len(first) == len(second) == 64)
    violations = play("handshake, stranger", "listener", 2_000).violations
    assert any("a stranger was let in" in one for one in violations)


def test_a_challenge_that_lets_strangers_in_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(challenge, "check_answer", lambda *_, **__: None)
    violations = play("standard challenge", "listener", 2_000).violations
    assert any("a stranger was let in" in one for one in violations)


def test_another_exception_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise ArithmeticError("deep inside")

    monkeypatch.setattr(framing.Inbox, "missing", fail)
    assert "ArithmeticError" in play("framing", "bytes").violations[0]


def test_unpickling_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(_: random.Random) -> network_machines.Work:
        return lambda: pickle.loads(network_poison.poison())

    monkeypatch.setitem(network_machines.WORKS, ("framing", "bytes"), (1, prepare))
    assert "50 pickles of strangers were unpickled" in play("framing", "bytes").violations


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["network", "--inputs", "100", "--seed", "5"]) == 0
    output = capsys.readouterr().out
    assert "seed 5: " in output
    assert "14 of 14 scenarios held" in output
