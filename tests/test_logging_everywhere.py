"""Records and output of workers of pools, of managers' processes and of grandchildren: each goes to
the process that wants them. Here, because it takes several distributions together.
"""

from __future__ import annotations

import sys

import pytest

from processing_testkit import run_script, start_methods

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="records are not relayed on Windows yet"
)

PROGRAM = """
    import logging, os, sys
    import processing
    from processing.logger import flush_logging
    from processing.managers import BaseManager

    class Counter:
        def count(self):
            logging.getLogger("app").warning("in a manager %d", os.getpid())
            print("printed in a manager", flush=True)
            return os.getpid()

    class Manager(BaseManager):
        pass

    Manager.register("Counter", Counter)

    def leaf(number):
        logging.getLogger("app.leaf").warning("leaf %d %d", number, os.getpid())
        print("leaf printed", number)
        return os.getpid()

    def between(number):
        child = processing.Process(target=leaf, args=(number,), daemon=False)
        child.start()
        child.join()

    def use_a_pool(number):
        with processing.Pool(1) as pool:
            pool.apply(leaf, (number,))

    if __name__ == "__main__":
        logging.basicConfig(stream=sys.stdout, format="%(process)d: %(message)s")
        processing.enable_logging("WARNING", relay=True, captureOutput=True, logger="app")
        {main}
        flush_logging()
"""


def lines_of(main: str, method: str) -> list[str]:
    result = run_script(PROGRAM.format(main=main), method=method)
    return result.check().stdout.splitlines()


def records_of(lines: list[str]) -> list[str]:
    """The texts of records, which end with the number of the process that logged."""
    texts = []
    for line in lines:
        pid, colon, text = line.partition(": ")
        if colon:
            assert text.endswith(f" {pid}")
            texts.append(text.removesuffix(f" {pid}"))
    return texts


@pytest.mark.parametrize("method", start_methods())
def test_workers_of_a_pool(method: str) -> None:
    main = """
        with processing.Pool(2) as pool:
            pids = pool.map(leaf, range(20), 1)
        assert os.getpid() not in pids
    """
    lines = lines_of(main, method)
    assert sorted(records_of(lines)) == sorted(f"leaf {number}" for number in range(20))
    printed = [line for line in lines if line.startswith("leaf printed")]
    assert sorted(printed) == sorted(f"leaf printed {number}" for number in range(20))


@pytest.mark.parametrize("method", start_methods())
def test_the_process_of_a_manager(method: str) -> None:
    main = """
        with Manager() as manager:
            assert manager.Counter().count() != os.getpid()
    """
    lines = lines_of(main, method)
    assert records_of(lines) == ["in a manager"]
    assert lines.count("printed in a manager") == 1


@pytest.mark.parametrize("method", start_methods())
@pytest.mark.parametrize("way", ["between", "use_a_pool"])
def test_grandchildren(method: str, way: str) -> None:
    main = f"""
        child = processing.Process(target={way}, args=(7,))
        child.start()
        child.join()
        assert child.exitcode == 0
    """
    lines = lines_of(main, method)
    assert records_of(lines) == ["leaf 7"]
    assert lines.count("leaf printed 7") == 1
