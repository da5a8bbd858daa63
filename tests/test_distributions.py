"""The distributions as a family: what their pyproject files must have in common."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECTS: dict[str, dict[str, Any]] = {
    path.parent.name: tomllib.loads(path.read_text())["project"]
    for path in sorted((ROOT / "packages").glob("*/pyproject.toml"))
}
CORE = "processing-core"
SIBLINGS = {
    "processing-logging",
    "processing-managers",
    "processing-pool",
    "processing-sharedctypes",
}

pytestmark = pytest.mark.parametrize("name", PROJECTS)


def version_in_source(name: str) -> Version:
    about = ROOT / "packages" / name / "src" / name.replace("-", "_") / "__about__.py"
    found = re.search(r'^__version__ = "(.+)"$', about.read_text(), re.MULTILINE)
    assert found is not None
    return Version(found[1])


def own_requirements(name: str) -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in PROJECTS[name].get("dependencies", [])]
    return {each.name: each for each in requirements if each.name in PROJECTS}


def test_the_folder_and_the_licence_are_right(name: str) -> None:
    assert PROJECTS[name]["name"] == name
    assert PROJECTS[name]["license"] == "BSD-3-Clause"
    licence = (ROOT / "packages" / name / "LICENSE").read_text()
    assert licence == (ROOT / "LICENSE").read_text()


def test_the_same_pythons_are_supported_everywhere(name: str) -> None:
    core = PROJECTS[CORE]
    assert PROJECTS[name]["requires-python"] == core["requires-python"]
    pythons = [[c for c in p["classifiers"] if ":: Python ::" in c] for p in (PROJECTS[name], core)]
    assert pythons[0] == pythons[1]


def test_it_is_typed(name: str) -> None:
    module = name.replace("-", "_")
    assert (ROOT / "packages" / name / "src" / module / "py.typed").is_file()
    assert "Typing :: Typed" in PROJECTS[name]["classifiers"]


def test_the_version_is_static_and_installed(name: str) -> None:
    assert "version" in PROJECTS[name]["dynamic"]
    assert version_in_source(name) == Version(importlib.metadata.version(name))


def test_the_requirements_are_what_the_design_says(name: str) -> None:
    """Core needs nothing, a sibling needs core, the facade needs all; none needs anything else."""
    expected = {CORE: set(), "processing": {CORE, *SIBLINGS}}.get(name, {CORE})
    assert set(own_requirements(name)) == expected
    assert len(PROJECTS[name].get("dependencies", [])) == len(expected)


def test_siblings_are_required_by_a_range_that_admits_them(name: str) -> None:
    for sibling, requirement in own_requirements(name).items():
        assert {each.operator for each in requirement.specifier} == {">=", "<"}
        assert requirement.specifier.contains(version_in_source(sibling), prereleases=True)


def test_a_released_version_is_in_the_changelog(name: str) -> None:
    """A development version is not: what it brings is in the fragments."""
    version = version_in_source(name)
    changelog = (ROOT / "packages" / name / "CHANGELOG.md").read_text()
    released = re.findall(rf"^## {re.escape(name)} (\S+) ", changelog, re.MULTILINE)
    if version.is_devrelease:
        assert str(version) not in released
        assert list((ROOT / "packages" / name / "changelog.d").glob("*.md"))
    else:
        assert released
        assert released[0] == str(version)


def test_a_tag_says_the_version_of_what_it_tags(name: str) -> None:
    """Tags are called `<distribution>-v<version>`."""
    command = ["git", "tag", "--points-at", "HEAD", "--list", f"{name}-v*"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    for tag in listing.stdout.split():
        assert tag == f"{name}-v{version_in_source(name)}"
