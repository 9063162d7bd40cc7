"""The wheel carries every module and data file: a lost symlink would drop whole packages without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
SYMLINKED = {
    "controller": "carelane/controller",
    "intents": "carelane/intents",
    "topology": "carelane/topology",
    "policies": "carelane/policies",
    "api": "carelane/api",
    "mininet/lab": "carelane/lab",
    "src/carelane": "carelane",
}
NOT_SHIPPED = frozenset({".md"})
"""Notes beside the data are for readers of the repository."""


def tracked_files() -> list[str]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout: nothing to compare the wheel with")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
    return listed.stdout.splitlines()


def expected_in_wheel(tracked: list[str]) -> set[str]:
    expected = set()
    for name in tracked:
        path = ROOT / name
        if path.is_symlink() or PurePosixPath(name).suffix in NOT_SHIPPED:
            continue
        for folder, package in SYMLINKED.items():
            if name.startswith(f"{folder}/"):
                expected.add(package + name.removeprefix(folder))
    return expected


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built from a copy of the tracked files."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in tracked_files():
        source, target = ROOT / name, copy / name
        if not source.exists() and not source.is_symlink():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    # --no-isolation: the build tools of this environment, no network.
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--sdist", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_wheel_holds_every_module_and_data_file(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert inside == expected_in_wheel(tracked_files())


def test_the_sdist_builds_from_the_same_files(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        inside = {PurePosixPath(*PurePosixPath(member.name).parts[1:]) for member in archive.getmembers()}
    assert {PurePosixPath("pyproject.toml"), PurePosixPath("src/carelane/topology/model.py")} <= inside


def test_the_wheel_works_on_its_own(built: Path, tmp_path: Path) -> None:
    """Unpacked elsewhere, the bundled networks load from it."""
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import carelane; from carelane.topology import BUNDLED, load_topology\n"
        "print(carelane.__file__, *(len(load_topology(name).nodes) for name in sorted(BUNDLED)))"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "carelane" / "__init__.py"), "41", "16", "4", "216"]
