"""run.py reports and does not judge: what it prints, writes and returns. Nothing is measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import harness
import run


def quiet_machine() -> harness.Machine:
    return harness.Machine("CPython 3.11.0", "Linux", 2, 2, 0.0, 0.0)


def busy_machine() -> harness.Machine:
    return harness.Machine("CPython 3.11.0", "Linux", 2, 2, 2.0, 1.0)


def group(program: str) -> Callable[[], list[harness.Measurement]]:
    """A group with one measurement, whose program is given the library as its argument."""
    figure = harness.Figure("speed", "a speed", "km/h", harness.at_least(2))
    measurement = harness.Measurement(
        lambda library, quick: ["-c", program, library, str(quick)], (figure,)
    )
    return lambda: [measurement]


SAME = group("print('{\"speed\": 5}')")
TWICE = group("import sys; print('{\"speed\": %d}' % (10 if 'core' in sys.argv[1] else 5))")
BROKEN = group("raise SystemExit('[it] broke')")


def test_a_missed_target_is_marked_and_no_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(run, "GROUPS", {"same": SAME, "twice": TWICE})
    monkeypatch.setattr(harness, "look_at_machine", quiet_machine)
    assert run.main(["--quick", "--json", str(tmp_path / "figures.json")]) == 0
    output = capsys.readouterr().out
    assert "1.00x    >= 2x MISSED" in output
    assert "2.00x   >= 2x reached" in output
    assert "1 of 2 targets reached" in output
    assert "not quiet" not in output
    content = json.loads((tmp_path / "figures.json").read_text())
    assert [row["group"] for row in content["rows"]] == ["same", "twice"]
    assert content["rows"][1]["ours"] == [10.0, 10.0, 10.0]
    assert content["machine"]["python"] == "CPython 3.11.0"


def test_groups_can_be_chosen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "GROUPS", {"same": SAME, "broken": BROKEN})
    monkeypatch.setattr(harness, "look_at_machine", busy_machine)
    assert run.main(["--quick", "same"]) == 0
    assert "not quiet" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        run.main(["none"])
    assert "there is no group none" in capsys.readouterr().err


def test_what_cannot_be_measured_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "GROUPS", {"broken": BROKEN, "same": SAME})
    monkeypatch.setattr(harness, "look_at_machine", quiet_machine)
    assert run.main(["--quick"]) == 1
    output = capsys.readouterr().out
    assert "NOT MEASURED: a speed" in output
    assert "[it] broke" in output
    assert "1.00x" in output
