"""Everything that is run on this repository, one session each: `nox -l` lists them.

Sessions ask each distribution's pyproject.toml for its Pythons, its requirements and its test
group, and the pyproject.toml beside this file for the groups of tools. uv makes environments faster
where it is installed; nothing depends on it.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
nox.options.sessions = ["tests", "typecheck", "lint", "layering", "docs", "build"]

ROOT: Final = Path(__file__).parent
PACKAGES: Final = ROOT / "packages"
TESTKIT: Final = ROOT / "testkit"
ROOT_PROJECT: Final = nox.project.load_toml(ROOT / "pyproject.toml")
PROJECTS: Final = {
    path.parent.name: nox.project.load_toml(path)
    for path in sorted(PACKAGES.glob("*/pyproject.toml"))
}
DISTRIBUTIONS: Final = tuple(PROJECTS)
PLATFORMS: Final = ("linux", "darwin", "win32")
RUNNABLE: Final = ("processing", "processing-core")
FOLDERS: Final = (
    "tests",
    "testkit/tests",
    "examples",
    "benchmarks",
    "chaos",
    "frozen",
    "strangers",
)
"""What has Python of its own beside the distributions."""
SHARED_TESTS: Final = (
    "tests",
    "testkit/tests",
    "examples/tests",
    "benchmarks/tests",
    "chaos/tests",
)

TOGETHER: Final = "together"
"""The test run that has every distribution installed, beside those that have one each."""


# Interpreters


def really_runs(python: str, version: str) -> bool:
    """Tell whether `python` is that version: pyenv leaves commands on PATH that run nothing."""
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    return outcome.returncode == 0 and outcome.stdout.strip() == version


def pyenv_folders() -> list[Path]:
    """Return the folders of the interpreters that pyenv installed, the newest release first."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    folders = [path for path in root.glob("versions/3.*/bin") if path.is_dir()]
    return sorted(
        folders,
        key=lambda path: [int(digits) for digits in re.findall(r"\d+", path.parent.name)],
        reverse=True,
    )


def find_interpreters(candidates: list[str]) -> list[str]:
    """Return those versions that there is an interpreter for.

    One that only pyenv knows is put on PATH, where nox looks for it.
    """
    found = []
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in candidates:
        on_path = shutil.which(f"python{version}")
        if version == running or (on_path is not None and really_runs(on_path, version)):
            found.append(version)
            continue
        for folder in pyenv_folders():
            python = shutil.which(f"python{version}", path=str(folder))
            if python is not None and really_runs(python, version):
                os.environ["PATH"] = os.pathsep.join([str(folder), os.environ["PATH"]])
                found.append(version)
                break
    return found


def wanted_pythons() -> list[str]:
    """Return the versions to test on: all that are found, or the running one for `-- quick`."""
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if "--" in sys.argv and "quick" in sys.argv[sys.argv.index("--") :]:
        return [running]
    # Newer interpreters than the classifiers promise are tested as soon as they are there.
    supported = nox.project.python_versions(PROJECTS["processing-core"], max_version="3.30")
    return find_interpreters(supported)


# Requirements


def own_requirements(distribution: str) -> list[str]:
    """Return our own distributions that `distribution` needs, itself last, each once."""
    needed: list[str] = []
    for requirement in PROJECTS[distribution]["project"].get("dependencies", ()):
        match = re.match(r"[A-Za-z0-9._-]+", requirement)
        if match is not None and match.group() in PROJECTS:
            needed += [name for name in own_requirements(match.group()) if name not in needed]
    return [*needed, distribution]


def editable(distributions: tuple[str, ...] | list[str]) -> list[str]:
    """Return the arguments that install these distributions from their folders."""
    return [word for name in distributions for word in ("--editable", str(PACKAGES / name))]


def group(project: dict[str, Any], *names: str) -> list[str]:
    """Return the requirements of dependency groups of a pyproject.toml, as far as they exist."""
    known = [name for name in names if name in project.get("dependency-groups", {})]
    return list(nox.project.dependency_groups(project, *known))


tools = functools.partial(group, ROOT_PROJECT)


# Sessions


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job: a census of the standard library's source code by worker processes."""
    session.install(*tools("demo"), *editable(own_requirements("processing")))
    session.run("python", "examples/census.py", *session.posargs)


@nox.session(python=wanted_pythons())
@nox.parametrize("what", [nox.param(name, id=name) for name in (*DISTRIBUTIONS, TOGETHER)])
def tests(session: nox.Session, what: str) -> None:
    """Test each distribution with nothing but what it declares; then all of them together.

    This happens on every interpreter that is found, or for `-- quick` on the running one. Other
    arguments after the `--` go to pytest.
    """
    arguments = [word for word in session.posargs if word != "quick"]
    # A folder of tests is a run of its own: two of them may have modules of the same name.
    if what == TOGETHER:
        session.install(
            *tools("test", "chaos", "bench"),
            *("--editable", str(TESTKIT)),
            *editable(DISTRIBUTIONS),
        )
        for folder in SHARED_TESTS:
            if has_python(ROOT / folder):
                session.run("pytest", folder, *arguments)
    else:
        session.install(
            *group(PROJECTS[what], "test"),
            *("--editable", str(TESTKIT)),
            *editable(own_requirements(what)),
        )
        session.chdir(PACKAGES / what)
        session.run("pytest", "tests", *arguments)


@nox.session
def typecheck(session: nox.Session) -> None:
    """Run mypy in strict mode over everything, as for Linux, macOS and Windows.

    Folders of tests have modules of the same name, so each is a run of its own; the types of the
    distributions come from their installed, editable form.
    """
    test_groups = {line for project in PROJECTS.values() for line in group(project, "test")}
    session.install(
        *tools("typecheck"),
        *sorted(test_groups),
        *("--editable", str(TESTKIT)),
        *editable(DISTRIBUTIONS),
    )
    sources = [relative(path) for path in sorted(PACKAGES.glob("*/src"))]
    runs = {"the sources": ["noxfile.py", "testkit/src", *sources]}
    runs |= {relative(path): [relative(path)] for path in sorted(PACKAGES.glob("*/tests"))}
    runs |= {name: [name] for name in FOLDERS}
    runs |= {"the documentation's programs": ["docs/conf.py", "docs/names_table.py"]}
    failed = []
    for platform in PLATFORMS:
        command = ["mypy", f"--platform={platform}", f"--cache-dir=.mypy_cache/{platform}"]
        if platform != "linux":
            # What only Linux does is unreachable there, and is meant to be.
            command.append("--no-warn-unreachable")
        for name, paths in runs.items():
            present = [path for path in paths if has_python(ROOT / path)]
            try:
                if present:
                    session.run(*command, *present)
            except nox.command.CommandFailed:
                failed.append(f"{name} for {platform}")
    if failed:
        session.error("\n  ".join(["mypy found errors in", *failed]))


@nox.session
def verifytypes(session: nox.Session) -> None:
    """Ask pyright whether every public name of every distribution has a type: 100 %, or it fails.

    It also reads a program of a user, tests/users_view.py.
    """
    # pyright looks for what was installed like by users, so nothing is editable here.
    session.install(*tools("types"), "numpy", *(str(PACKAGES / name) for name in DISTRIBUTIONS))
    failed = []
    for distribution in DISTRIBUTIONS:
        module = distribution.replace("-", "_")
        if not has_contents(distribution):
            session.log(f"{distribution} has nothing in it yet")
            continue
        try:
            session.run("pyright", "--verifytypes", module, "--ignoreexternal")
        except nox.command.CommandFailed:
            failed.append(distribution)
    session.run("pyright")
    if failed:
        session.error("not everything has a type in " + ", ".join(failed))


def has_contents(distribution: str) -> bool:
    """Tell whether a distribution has more than its name and version."""
    package = PACKAGES / distribution / "src" / distribution.replace("-", "_")
    return len(list(package.rglob("*.py"))) > 2


def relative(path: Path) -> str:
    """Return `path` as seen from the root of the repository."""
    return str(path.relative_to(ROOT))


def has_python(path: Path) -> bool:
    """Tell whether there is a Python file at or under `path`; mypy refuses empty folders."""
    return path.is_file() or any(path.rglob("*.py"))


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style and the formatting with ruff, and that the changelog fragments are valid."""
    session.install(*tools("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    for distribution in DISTRIBUTIONS:
        session.run(
            "towncrier",
            *("build", "--draft", "--version", "next", "--dir", str(PACKAGES / distribution)),
            silent=True,
        )


@nox.session
def layering(session: nox.Session) -> None:
    """Check which module may import which, between and inside distributions."""
    session.install(*tools("layering"), *editable(DISTRIBUTIONS))
    # The cache does not notice that a module which was imported in vain exists now.
    session.run("lint-imports", "--no-cache", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, every warning an error, and run its examples and the READMEs'."""
    session.install(*tools("docs"), "--editable", str(TESTKIT), *editable(DISTRIBUTIONS))
    session.run(
        "pytest",
        "tests/test_examples.py",
        "tests/test_example_sessions.py",
        "tests/test_notebooks.py",
        "tests/test_reference.py",
    )
    session.run(
        "sphinx-build",
        *("-n", "-W", "--keep-going", "-q", "-b", "html"),
        *("-d", "docs/_build/doctrees", "docs", "docs/_build/html"),
    )


@nox.session
def build(session: nox.Session) -> None:
    """Build all distributions, check them, and import them from where their wheels were installed.

    Each is installed in an environment of its own without an index: its requirements must be met by
    the wheels that were just built.
    """
    session.install(*tools("build"))
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    for distribution in DISTRIBUTIONS:
        session.run(
            *("python", "-m", "build", "--no-isolation", "--outdir", str(dist)),
            str(PACKAGES / distribution),
            silent=True,
        )
    session.run("twine", "check", "--strict", *(str(path) for path in sorted(dist.iterdir())))
    for distribution in DISTRIBUTIONS:
        folder = Path(session.create_tmp()) / f"installed-{distribution}"
        session.run("python", "-m", "venv", "--clear", "--without-pip", str(folder), silent=True)
        python = str(folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
        session.run(
            *("python", "-m", "pip", "--python", python, "install", "--quiet"),
            *("--no-index", "--find-links", str(dist), distribution),
        )
        module = distribution.replace("-", "_")
        program = f"import {module} as m; print({distribution!r}, m.__version__, m.__file__)"
        if distribution in RUNNABLE:
            program += "; p = m.Process(target=print, args=('a process',)); p.start(); p.join()"
            program += "; assert p.exitcode == 0"
        # -I: neither the current folder nor the environment may help to find the module.
        session.run(python, "-I", "-W", "error", "-c", program, external=True)
        if example := readme_example(distribution):
            path = folder / "readme_example.py"
            path.write_text(example[0])
            printed = session.run(
                python, "-I", "-W", "error", str(path), external=True, silent=True
            )
            if printed != example[1]:
                session.error(f"the README of {distribution} promises {example[1]!r}: {printed!r}")


def readme_example(distribution: str) -> tuple[str, str] | None:
    """Return the program that opens the README of a distribution and what it says it prints."""
    readme = (PACKAGES / distribution / "README.md").read_text(encoding="utf-8")
    blocks = re.search(r"```python\n(.*?)```.*?```text\n(.*?)```", readme, re.DOTALL)
    return None if blocks is None else (blocks[1], blocks[2])


@nox.session
def frozen(session: nox.Session) -> None:
    """Freeze a program by PyInstaller (a folder, a file) and cx_Freeze, and run what came out.

    Under every start method; arguments after the `--` go to pytest.
    """
    session.install(
        *tools("frozen"),
        *("--editable", str(TESTKIT)),
        *editable(own_requirements("processing")),
    )
    session.run("pytest", "frozen", *session.posargs)


@nox.session
def strangers(session: nox.Session) -> None:
    """Run programs of others, as sphinx-build, with `processing` in place of `multiprocessing`.

    What they print and write has to be the same. Arguments after the `--` go to pytest.
    """
    session.install(
        *tools("strangers"),
        *("--editable", str(TESTKIT)),
        *editable(own_requirements("processing")),
    )
    session.run("pytest", "strangers", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against the standard library; arguments after the `--` choose the groups."""
    session.install(*tools("bench"), *editable(own_requirements("processing")))
    session.run("python", "benchmarks/run.py", *session.posargs)


@nox.session
def chaos(session: nox.Session) -> None:
    """Kill, stop and interrupt processes at random while they share; send listeners damaged bytes.

    Whoever survives must get on, and nothing be lost but what the killed had in their hands. No
    stranger is let in, and good clients are served. Words after the `--` choose groups, numbers and
    start methods: `-- queues --kills 200 --method fork`, `-- managers`, `-- network`.
    """
    siblings = ["processing-logging", "processing-managers", "processing-pool"]
    needed = {*own_requirements("processing-sharedctypes"), *siblings}
    session.install(*tools("chaos"), *editable(sorted(needed)))
    session.run("python", "chaos/run.py", *session.posargs)
