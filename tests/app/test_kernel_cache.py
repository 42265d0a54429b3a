"""numba's cache directory, as a fresh process chooses it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app import kernel_cache

CHOOSE = "import sys; from app.kernel_cache import *; print(point_numba_at_cache()); assert 'numba' not in sys.modules"


def _chosen(state_dir: Path | str, **environment: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    return subprocess.run(
        [sys.executable, "-c", CHOOSE],
        env=inherited | {"TRAILMATCH_STATE_DIR": str(state_dir)} | environment,
        capture_output=True,
        text=True,
        check=True,
    )


def test_the_cache_lies_in_the_state_directory_and_stays_there(tmp_path: Path) -> None:
    first, second = (Path(_chosen(tmp_path).stdout.strip()) for _ in range(2))
    assert first == second
    assert first.parent == tmp_path / "numba"
    assert first.is_dir()


def test_a_cache_chosen_already_is_kept(tmp_path: Path) -> None:
    assert _chosen(tmp_path, NUMBA_CACHE_DIR="/elsewhere").stdout.strip() == "/elsewhere"


def test_without_a_place_to_write_the_cache_is_temporary_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    chosen = _chosen(tmp_path / "file")
    assert "not kept for the next run" in chosen.stderr
    assert not Path(chosen.stdout.strip()).exists()  # gone with the process


def test_an_edit_to_any_kernel_source_is_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "planted").mkdir()
    source = tmp_path / "planted" / "loops.py"
    (tmp_path / "planted" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(kernel_cache, "KERNEL_PACKAGES", ("planted",))
    source.write_text("one = 1\n")
    before = kernel_cache._kernel_hash()
    source.write_text("one = 2\n")
    assert kernel_cache._kernel_hash() != before
