"""How pools end: interrupts, exits, forks, collection, and the death of who has them."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

assert sys.platform != "win32"

import pool_tasks as tasks
from processing_core import MisuseError, Process
from processing_pool import Pool
from processing_testkit import run_script, start_python, wait_until

METHODS = ["fork", "forkserver", "spawn"]

INTERRUPTED = """
import os, signal, sys, threading, time
from processing_pool import Pool

def begin(path):
    open(path + str(os.getpid()), "w").close()
    time.sleep(60)

if __name__ == "__main__":
    folder = sys.argv[1] + "/"
    with Pool(2) as pool:
        def interrupt():
            while len(os.listdir(folder)) < 2:
                time.sleep(0.01)
            os.killpg(0, signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        pool.map(begin, [folder] * 10, 1)
"""


@pytest.mark.orphans
def test_ctrl_c_ends_everything_with_one_traceback(start_method: str, tmp_path: Any) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    result = run_script(INTERRUPTED, str(folder), method=start_method)
    assert result.stderr.count("KeyboardInterrupt") == 1
    assert result.stderr.count("Traceback") == 1
    assert not result.survivors


RUNS_PROGRAMS = """
import os, signal, subprocess, sys, threading, time
from processing_pool import Pool

def begin(path):
    # A shell that tells when it is there, and is told of Ctrl-C as all others of its group.
    subprocess.run(["sh", "-c", 'touch "$0/$$" && exec sleep 60', path])

if __name__ == "__main__":
    folder = sys.argv[1]
    with Pool(2) as pool:
        def interrupt():
            while len(os.listdir(folder)) < 2:
                time.sleep(0.01)
            os.killpg(0, signal.SIGINT)
        threading.Thread(target=interrupt, daemon=True).start()
        pool.map(begin, [folder] * 2, 1)
"""


@pytest.mark.orphans
def test_ctrl_c_ends_programs_that_tasks_run(start_method: str, tmp_path: Any) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()
    result = run_script(RUNS_PROGRAMS, str(folder), method=start_method)
    assert result.stderr.count("KeyboardInterrupt") == 1
    assert result.stderr.count("Traceback") == 1
    pids = [int(path.name) for path in folder.iterdir()]
    assert len(pids) == 2
    wait_until(lambda: not any(map(runs, pids)))
    assert not result.survivors


def test_programs_that_tasks_start_can_be_interrupted(pool: Pool) -> None:
    assert pool.apply(tasks.interrupt_a_program) == (-signal.SIGINT, "")


def test_workers_do_not_heed_ctrl_c(make_pool: Any) -> None:
    """But they begin nothing for a moment, in which their pool can end them."""
    pool: Pool = make_pool(1)
    pid = pool.apply(tasks.pid_of_worker)
    interrupted = pool.apply(tasks.interrupt_worker)
    assert pool.apply(tasks.clock) >= interrupted + 1
    pool.map(tasks.clock, range(1000), 1)  # so that many travel together
    times = pool.map(tasks.interrupt_at_3, range(1000), 1)
    assert times[4] >= times[3] + 1
    assert pool.apply(tasks.pid_of_worker) == pid


AT_EXIT = """
import time
from processing_pool import Pool

if __name__ == "__main__":
    pool = Pool(2)
    results = [pool.apply_async(time.sleep, (60,)) for _ in range(4)]
    found = pool.imap(abs, iter(range(10)))
    print("done")
"""


@pytest.mark.orphans
def test_the_interpreter_ends_with_a_pool_alive(start_method: str) -> None:
    result = run_script(AT_EXIT, method=start_method)
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")
    assert not result.survivors


def test_a_pool_that_is_collected_ends(start_method: str) -> None:
    pools = [Pool(2, context=start_method)]
    pids = [worker.pid for worker in pools[0].stats().workers]
    with pytest.warns(ResourceWarning, match="unclosed"):
        pools.clear()
    wait_until(lambda: not any(map(exists, pids)))


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def use_foreign(pool: Pool) -> None:
    with pytest.raises(MisuseError):
        pool.apply(tasks.square, (3,))
    with pytest.raises(MisuseError):
        pool.join()
    pool.close()
    pool.terminate()
    del pool
    with Pool(1) as own:
        assert own.apply(tasks.square, (4,)) == 16


def test_a_fork_cannot_use_the_pool_but_make_its_own() -> None:
    with Pool(2, context="fork") as pool:
        running = pool.map_async(tasks.sleep, [0.01] * 20, 1)
        process = Process(target=use_foreign, args=(pool,), context="fork")
        process.start()
        process.join()
        assert process.exitcode == 0
        running.get()
        assert pool.apply(tasks.square, (3,)) == 9


def test_pools_can_be_nested(pool: Pool) -> None:
    assert pool.map(tasks.inner_pool, [3, 4], 1) == [[0, 1, 4], [0, 1, 4, 9]]


HAS_A_POOL = """
import os, sys, time
from processing_core import Process
from processing_pool import Pool

def begin(_):
    Process(target=time.sleep, args=(60,)).start()
    print(os.getpid(), flush=True)
    time.sleep(60)

if __name__ == "__main__":
    with Pool(2) as pool:
        pool.map(begin, range(2), 1)
"""


@pytest.mark.orphans
def test_the_workers_of_a_killed_process_end(start_method: str, tmp_path: Any) -> None:
    script = tmp_path / "program.py"
    script.write_text(HAS_A_POOL)
    with start_python([str(script)], method=start_method) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(runs, pids)))


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_result_outlives_its_pool(start_method: str) -> None:
    with Pool(1, context=start_method) as pool:
        result = pool.apply_async(tasks.square, (3,))
    del pool
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert result.get() == 9
