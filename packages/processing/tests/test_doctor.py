"""`python -m processing doctor`, on machines that are made poorer in one thing each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processing._commands import findings, machine
from processing._commands.findings import Finding
from processing_testkit import ScriptResult, run_python

if sys.platform == "win32":
    pytest.skip("what these tests take away is POSIX's", allow_module_level=True)

DOCTOR = ("-m", "processing", "doctor")
SHM = "/dev/shm"  # noqa: S108 - the folder itself is meant
SECONDS = 60.0
"""What a run may take on a machine that does much else."""

# Its fork server may be still about to end when the program has ended.
pytestmark = pytest.mark.orphans


def examine(*words: str, before: str = "", wrapper: str = "") -> dict[str, Any]:
    """The report of a doctor in a shell, after a command, or in a Python after some statements."""
    python = [sys.executable, *DOCTOR, "--json", *words]
    if before:
        words = ("doctor", "--json", *words)
        program = f"{before}\nfrom processing.__main__ import main\n"
        python = [sys.executable, "-c", f"{program}raise SystemExit(main({list(words)!r}))"]
    command = ["-c", f'{wrapper or ":"} && exec "$@"', "sh", *python]
    done = run_python(command, python="/bin/sh", timeout=SECONDS)
    assert done.stdout.startswith("{"), done.describe()
    report: dict[str, Any] = json.loads(done.stdout)
    strict = "--strict" in words
    bad = report["state"] == "missing" or (strict and report["state"] != "good")
    assert done.returncode == int(bad), done.describe()
    report["by_topic"] = {each["topic"]: each for each in report["findings"]}
    return report


def run_doctor(*words: str) -> ScriptResult:
    return run_python([*DOCTOR, *words], timeout=SECONDS)


def test_it_reports_on_everything() -> None:
    report = examine()
    topics = set(report["by_topic"])
    assert {"interpreter", "processors", "memory", "start methods", "queues and locks"} <= topics
    assert {"shared memory by name", "cloudpickle", "descriptors", "processes"} <= topics
    if sys.platform == "linux":
        assert {"anonymous memory", SHM, "robust mutexes", "semaphores"} <= topics
        assert {"ends of children", "debuggers (ptrace)", "process 1"} <= topics
    states = {each["state"] for each in report["findings"]}
    assert report["state"] == max(states, key=findings.ORDER.index)
    assert report["distributions"]["processing-core"]


def test_what_is_not_good_comes_with_advice() -> None:
    for each in examine(before="import sys; sys.modules['_ctypes'] = None")["findings"]:
        assert bool(each["advice"]) or each["state"] == "good" or "error" in each["figures"], each


def test_processes_are_really_started() -> None:
    figures = examine()["by_topic"]["start methods"]["figures"]
    assert {"fork", "forkserver", "spawn"} <= set(figures)
    assert all(figures[name] > 0 for name in ("fork", "forkserver", "spawn"))


def test_the_default_start_method_is_that_of_the_environment() -> None:
    report = examine(wrapper="export PROCESSING_START_METHOD=spawn")
    assert report["by_topic"]["start methods"]["figures"]["default"] == "spawn"


def test_few_descriptors() -> None:
    found = examine(wrapper="ulimit -S -n 64")["by_topic"]["descriptors"]
    assert found["state"] == "limited"
    assert found["figures"]["limit"] == 64
    assert f"ulimit -n {found['figures']['hard_limit']}" in found["advice"]


def test_few_descriptors_for_good() -> None:
    found = examine(wrapper="ulimit -n 64")["by_topic"]["descriptors"]
    assert found["figures"]["hard_limit"] == 64
    assert "administrator" in found["advice"]


def test_far_too_few_descriptors_are_a_finding_and_no_crash() -> None:
    report = examine(wrapper="ulimit -n 9")
    assert report["by_topic"]["queues and locks"]["state"] == "missing"
    assert "Too many open files" in report["by_topic"]["queues and locks"]["found"]


def test_rationed_addresses() -> None:
    found = examine(wrapper="ulimit -v 4194304")["by_topic"]["address space"]
    assert found["state"] == "limited"
    assert found["figures"]["limit"] == 4 << 30


def test_strict_fails_for_what_is_limited() -> None:
    assert examine("--strict", wrapper="ulimit -v 4194304")["state"] == "limited"


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is Linux's")
def test_one_processor() -> None:
    before = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"
    found = examine(before=before)["by_topic"]["processors"]
    assert found["state"] == "limited"
    assert found["figures"]["usable"] == found["figures"]["affinity"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is glibc")
def test_an_interpreter_without_ctypes() -> None:
    report = examine(before="import sys; sys.modules['_ctypes'] = None")["by_topic"]
    assert report["robust mutexes"]["state"] == "limited"
    assert "without ctypes" in report["robust mutexes"]["found"]
    assert "eventfd" in report["semaphores"]["found"]
    assert report["queues and locks"]["state"] == "good"


@pytest.mark.skipif(sys.platform != "linux", reason="memfd is Linux's")
def test_no_anonymous_memory() -> None:
    report = examine(before="import os; del os.memfd_create; del os.pidfd_open")["by_topic"]
    assert report["anonymous memory"]["state"] == "limited"
    assert report["ends of children"]["state"] == "limited"
    assert report["queues and locks"]["state"] == "good"


def test_an_interpreter_that_is_not_there() -> None:
    report = examine(before="import processing; processing.set_executable('/nonexistent/python')")
    found = report["by_topic"]["start methods"]
    assert found["state"] == report["state"] == "missing"
    assert "FileNotFoundError" in found["figures"]["spawn"]
    assert found["figures"]["fork"] > 0
    assert "set_start_method('fork')" in found["advice"]


def test_a_child_that_never_answers_is_a_finding(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.write_text("#!/bin/sh\nexec sleep 1000\n")
    endless.chmod(0o755)
    before = (
        f"import processing; processing.set_executable({str(endless)!r})\n"
        "from processing._commands import trials; trials.PATIENCE = 0.5"
    )
    found = examine(before=before)["by_topic"]["start methods"]
    assert found["state"] == "missing"
    assert found["figures"]["spawn"].startswith("TimeoutError: not done within 0.5 s")
    assert found["figures"]["forkserver"] == found["figures"]["spawn"]
    assert found["figures"]["fork"] > 0


def unshared(script: str) -> dict[str, Any]:
    """The report from namespaces of its own, which a script has furnished."""
    namespaces = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork"]
    if (
        not shutil.which("unshare")
        or subprocess.run(
            [*namespaces, "--mount-proc", "true"], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no namespaces for us")
    python = [sys.executable, *DOCTOR, "--json"]
    words = [*namespaces[1:], "--mount-proc", "sh", "-c", f'{script} && exec "$@"', "sh", *python]
    done = run_python(words, python=namespaces[0], timeout=SECONDS)
    assert done.stdout.startswith("{"), done.describe()
    return {each["topic"]: each for each in json.loads(done.stdout)["findings"]}


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_small_folder_for_shared_memory() -> None:
    found = unshared(f"mount -t tmpfs -o size=64k tmpfs {SHM}")
    assert found[SHM]["state"] == "limited"
    assert found[SHM]["figures"]["bytes"] == 65536
    assert found["queues and locks"]["state"] == "good"
    # The same container has no init.
    assert found["process 1"]["state"] == "limited"


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_no_folder_for_shared_memory() -> None:
    found = unshared(f"mount -t tmpfs -o ro tmpfs {SHM}")
    assert found[SHM]["state"] == "limited"
    assert found["shared memory by name"]["state"] == "missing"
    assert found["queues and locks"]["state"] == "good"


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_no_proc() -> None:
    found = unshared("mount -t tmpfs tmpfs /proc")
    assert found["reuse of shared memory"]["state"] == "limited"
    assert "mount /proc" in found["reuse of shared memory"]["advice"]


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group that counts processes, where we may make one."""
    for root in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        folder = root / f"processing-test-{os.getpid()}"
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            if (folder / "pids.max").exists():
                yield folder
                return
        finally:
            folder.rmdir()
    pytest.skip("no control groups for us")


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_few_processes_by_control_group(group: Path) -> None:
    (group / "pids.max").write_text("40")
    found = examine(wrapper=f"echo $$ > {group}/cgroup.procs")["by_topic"]["processes"]
    assert found["state"] == "limited"
    assert found["figures"]["cgroup_limit"] == 40


def test_control_groups_of_both_versions(tmp_path: Path) -> None:
    """What the kernel writes, in files of our own."""

    def folders(controller: str) -> list[tuple[int, str]]:
        return [(2, str(tmp_path / "own")), (1, str(tmp_path / controller))]

    (tmp_path / "own").mkdir()
    (tmp_path / "memory").mkdir()
    (tmp_path / "own" / "memory.max").write_text("max\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("104857600\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "cgroup_folders", folders)
        patch.setattr(machine, "available_memory", lambda: 1 << 20)
        found = machine.memory()
    assert found.figures == {"available": 1 << 20, "cgroup_limit": 100 << 20}
    assert found.found == "1.0 MiB available, cgroup limit 100 MiB"
    assert found.state == "limited"


@pytest.mark.skipif(sys.platform != "linux", reason="Yama is Linux's")
@pytest.mark.parametrize(("scope", "state"), [("0", "good"), ("3", "limited")])
def test_who_may_debug(tmp_path: Path, scope: str, state: str) -> None:
    if sys.platform == "linux":
        (tmp_path / "scope").write_text(f"{scope}\n")
        assert machine.debuggers(str(tmp_path / "scope")).state == state


def test_a_look_that_fails_stops_no_other() -> None:
    def some_thing() -> Finding:
        raise OSError("no such luck")

    found = machine.look_safely(some_thing)
    assert (found.topic, found.state) == ("some thing", "missing")
    assert "no such luck" in found.found


def test_the_table_with_rich_and_without_has_the_same_lines() -> None:
    rich = run_doctor()
    code = (
        "import sys; sys.modules['rich.console'] = None\n"
        "from processing.__main__ import main\nraise SystemExit(main(['doctor']))"
    )
    plain = run_python(["-c", code], timeout=SECONDS)
    assert "│" in rich.stdout
    assert plain.stdout.isascii()
    for topic in examine()["by_topic"]:
        assert topic in rich.stdout
        assert topic in plain.stdout
    assert rich.returncode == plain.returncode


def test_the_plain_table_puts_advice_below_what_it_is_about() -> None:
    code = (
        "import sys; sys.modules['rich.console'] = None\n"
        "import os; del os.memfd_create\n"
        "from processing.__main__ import main\nraise SystemExit(main(['doctor']))"
    )
    lines = run_python(["-c", code], timeout=SECONDS).stdout.splitlines()
    (number,) = (n for n, line in enumerate(lines) if line.startswith("limited  anonymous memory"))
    assert lines[number + 1].strip().startswith("-> Files in the temporary folder stand in")
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize("words", [[], ["cure"], ["doctor", "--loudly"]])
def test_wrong_words_are_told(words: list[str]) -> None:
    done = run_python(["-m", "processing", *words])
    assert done.returncode == 2
    assert "usage: python -m processing" in done.stderr
