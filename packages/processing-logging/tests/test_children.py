"""Settings in children of every start method, without relaying: each has handlers of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from processing_testkit import run_script

PROGRAM = """
    import logging, sys
    import processing_core
    from processing_logging import enable_logging, getLogger, log_to_stderr

    class Mine(logging.StreamHandler):
        def format(self, record):
            return "mine: " + super().format(record)

    def work(depth):
        getLogger().warning("depth %d", depth)
        getLogger().debug("not shown")
        if depth:
            child = processing_core.Process(target=work, args=(depth - 1,), name="Deeper")
            child.start()
            child.join()

    if __name__ == "__main__":
        {enable}
        child = processing_core.Process(target=work, args=(1,))
        child.start()
        child.join()
"""


def lines_of(enable: str, method: str) -> tuple[list[str], list[str]]:
    result = run_script(PROGRAM.format(enable=enable), method=method)
    assert result.returncode == 0, result.describe()
    return result.stdout.splitlines(), result.stderr.splitlines()


def test_children_log_with_the_same_level_and_handler(start_method: str) -> None:
    printed, errors = lines_of("enable_logging('INFO')", start_method)
    assert not printed
    assert errors == [
        "[INFO/Process-1] child process calling self.run()",
        "[WARNING/Process-1] depth 1",
        "[INFO/Deeper] child process calling self.run()",
        "[WARNING/Deeper] depth 0",
        "[INFO/Deeper] process exiting with exitcode 0",
        "[INFO/Process-1] process exiting with exitcode 0",
    ]


def test_the_handler_may_be_of_the_main_module_and_use_stdout(start_method: str) -> None:
    enable = "enable_logging('WARNING', Mine, (sys.stdout,), '%(processName)s %(message)s')"
    printed, errors = lines_of(enable, start_method)
    assert printed == ["mine: Process-1 depth 1", "mine: Deeper depth 0"]
    assert not errors


def test_log_to_stderr_holds_for_children(start_method: str) -> None:
    printed, errors = lines_of("log_to_stderr('WARNING')", start_method)
    assert not printed
    assert errors == ["[WARNING/Process-1] depth 1", "[WARNING/Deeper] depth 0"]


def test_both_hold_for_children(start_method: str) -> None:
    enable = "enable_logging('WARNING', Mine, (sys.stdout,), '%(message)s'); log_to_stderr()"
    printed, errors = lines_of(enable, start_method)
    assert printed == ["mine: depth 1", "mine: depth 0"]
    assert errors == ["[WARNING/Process-1] depth 1", "[WARNING/Deeper] depth 0"]


def test_a_later_call_without_a_handler_type_changes_the_level_only(start_method: str) -> None:
    enable = "enable_logging(30, Mine, (sys.stdout,), '%(message)s'); enable_logging(40)"
    assert lines_of(enable, start_method) == ([], [])
    enable = "enable_logging(40, Mine, (sys.stdout,), '%(message)s'); enable_logging(30)"
    printed, errors = lines_of(enable, start_method)
    assert (printed, errors) == (["mine: depth 1", "mine: depth 0"], [])


def test_what_logging_disables_is_disabled_in_children(start_method: str) -> None:
    enable = "enable_logging('INFO'); logging.disable(logging.INFO)"
    _, errors = lines_of(enable, start_method)
    assert errors == ["[WARNING/Process-1] depth 1", "[WARNING/Deeper] depth 0"]


def test_a_handler_that_does_not_pickle_is_named() -> None:
    enable = "enable_logging('INFO', lambda: Mine(sys.stdout))"
    result = run_script(PROGRAM.format(enable=enable), method="spawn")
    assert result.returncode == 1
    assert "SerializationError" in result.stderr
    assert "'processing_logging' passes on to children does not pickle" in result.stderr


def test_a_main_module_that_enables_without_a_guard(start_method: str) -> None:
    """Children run that line, too; they have the settings of their parent nevertheless."""
    result = run_script(
        """
        import processing_core
        from processing_logging import enable_logging, get_logger

        enable_logging("WARNING", format="plain %(message)s")

        def work():
            get_logger().warning("text")

        if __name__ == "__main__":
            enable_logging("WARNING", format="guarded %(message)s")
            child = processing_core.Process(target=work)
            child.start()
            child.join()
        """,
        method=start_method,
    )
    assert (result.returncode, result.stdout) == (0, ""), result.describe()
    assert result.stderr == "guarded text\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs files that can be shared")
def test_a_file_of_its_own_for_each_or_one_for_all(start_method: str, tmp_path: Path) -> None:
    enable = (
        "from processing_logging import SharedFileHandler; "
        f"enable_logging('WARNING', SharedFileHandler, ({str(tmp_path / 'log')!r},))"
    )
    assert lines_of(enable, start_method) == ([], [])
    assert (tmp_path / "log").read_text().splitlines() == [
        "[WARNING/Process-1] depth 1",
        "[WARNING/Deeper] depth 0",
    ]
