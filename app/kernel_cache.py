"""Where compiled kernels are kept between runs.

numba's own cache compares the time of one source file: after an edit to a kernel in another file it runs stale code.
So the directory is named by a hash of every source that a kernel can come from. Imports nothing heavy, and not numba.
"""

import atexit
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

KERNEL_PACKAGES = ("geo", "matcher")
VARIABLE = "NUMBA_CACHE_DIR"


def state_dir() -> Path:
    """The directory for what TrailMatch keeps on this machine: TRAILMATCH_STATE_DIR, else `.trailmatch` here."""
    return Path(os.environ.get("TRAILMATCH_STATE_DIR") or ".trailmatch").absolute()


def point_numba_at_cache() -> Path:
    """Set NUMBA_CACHE_DIR, unless it is set, for this process and those that it starts; returns the directory.

    Must run before numba is first imported, which reads the variable then. Where the state directory cannot be written
    (a read-only container) a temporary one is used until the process ends, and a line on stderr says so.
    """
    if VARIABLE in os.environ:
        return Path(os.environ[VARIABLE])
    assert "numba" not in sys.modules, "numba was imported before its cache was chosen"
    directory = state_dir() / "numba" / _kernel_hash()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        directory = Path(tempfile.mkdtemp(prefix="trailmatch-numba-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        print(f"compiled kernels are not kept for the next run: {error}", file=sys.stderr)
    os.environ[VARIABLE] = str(directory)
    return directory


def _kernel_hash() -> str:
    """A name for everything that compiled code depends on: our sources, numba, Python and the CPU."""
    digest = hashlib.sha256()
    for package in KERNEL_PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.submodule_search_locations is not None
        for root in spec.submodule_search_locations:
            for source in sorted(Path(root).rglob("*.py")):
                digest.update(f"{package}/{source.relative_to(root)}\n".encode() + source.read_bytes())
    digest.update(f"{importlib.metadata.version('numba')} {sys.version} {_cpu()}".encode())
    return digest.hexdigest()[:16]


def _cpu() -> str:
    """The CPU's name and what it can do, where the system tells (Linux), else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))})
    return "\n".join(told) or f"{platform.machine()} {platform.processor()}"
