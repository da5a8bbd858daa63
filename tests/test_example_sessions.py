"""The programs and the session of the `processing` package's reference page of 2008, run for real.

The text below is the page's. What is typed there is typed at the prompt of an interpreter that has
a terminal, and what the terminal then shows has to be what the page shows, word for word, the
messages in the log included, by each start method. Addresses are masked: the page's is a Windows
pipe's.

Where this library differs on purpose from what the page shows:

- `print` is a function in Python 3, so the page's `print 'hello world!'` has parentheses here;
- the address of a manager is the path of a socket of Linux, not the name of a pipe of Windows.

Where it differs from what the page says, docs/reference/differences.md says why.
"""

from __future__ import annotations

import sys

assert sys.platform != "win32"

from pathlib import Path

import pytest
from sessions import masked, run_again

from processing_testkit import run_script
from processing_testkit.sessions import run_session

ROOT = Path(__file__).parent.parent

SESSION = r"""
>>> import processing, logging
>>> processing.enableLogging(level=logging.INFO)
>>> processing.getLogger().warning('doomed')
[WARNING/MainProcess] doomed
>>> m = processing.Manager()
[INFO/SyncManager-1] child process calling self.run()
[INFO/SyncManager-1] manager bound to '\\\\.\\pipe\\pyc-2776-0-lj0tfa'
>>> del m
[INFO/MainProcess] sending shutdown message to manager
[INFO/SyncManager-1] manager received shutdown message
[INFO/SyncManager-1] manager exiting with exitcode 0
""".lstrip()

FREEZE = """
from processing import Process, freezeSupport

def f():
    print 'hello world!'

if __name__ == '__main__':
    freezeSupport()
    Process(target=f).start()
"""

READMES = [ROOT / "README.md", ROOT / "packages" / "processing" / "README.md"]


@pytest.mark.orphans  # The fork server ends a moment after the session.
def test_the_example_session_word_for_word(start_method: str) -> None:
    assert masked(run_again(SESSION, start_method)) == masked(SESSION)


@pytest.mark.orphans
def test_the_program_that_can_be_frozen(start_method: str) -> None:
    program = FREEZE.replace("print 'hello world!'", "print('hello world!')")
    assert run_script(program, method=start_method).check().stdout == "hello world!\n"


@pytest.mark.parametrize("readme", READMES, ids=["the repository", "the facade"])
def test_the_readmes_show_the_session(readme: Path) -> None:
    """As it was run; tests/test_examples.py runs it again."""
    assert masked(SESSION) in masked(readme.read_text(encoding="utf-8"))


def test_nothing_is_masked_but_addresses_and_process_ids() -> None:
    changed = SESSION.replace("lj0tfa", "8t4y2q")
    assert masked(changed) == masked(SESSION)
    for word in ("doomed", "SyncManager-1", "received", "exitcode 0", "bound", "INFO"):
        assert masked(SESSION.replace(word, "other")) != masked(SESSION), word


def test_a_session_has_what_is_typed_and_what_is_shown() -> None:
    lines = ["import sys", "for number in range(2):", "    print(number)", ""]
    lines += ["sys.stderr.write('error\\n') and None"]
    assert run_session(lines) == (
        ">>> import sys\n"
        ">>> for number in range(2):\n"
        "...     print(number)\n"
        "... \n"
        "0\n"
        "1\n"
        ">>> sys.stderr.write('error\\n') and None\n"
        "error\n"
    )


def test_a_session_that_ends_or_hangs_fails() -> None:
    with pytest.raises(AssertionError, match="the interpreter has ended"):
        run_session(["raise SystemExit(3)", "1"])
    with pytest.raises(AssertionError, match="no prompt in time"):
        run_session(["import time; time.sleep(600)"], timeout=2.0)
