"""What the doctor sees of the machine: room on disk, the cache of kernels, the pages' libraries."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from app.doctor.finding import Finding, doubtful, ill, well
from app.settings import Settings

_GIB: Final = 1024**3
# An hour of a nation's tags takes about 0.1 GiB as rows, with the log that is written ahead of them.
_LEAST_GIB: Final = 2
_ROOM_GIB: Final = 20
_ASSETS: Final = Path(__file__).resolve().parent.parent / "console" / "static" / "vendor" / ".built"


def examine_machine(settings: Settings) -> list[Finding]:
    """Look at what the service needs of this machine."""
    return [_room(settings), _kernel_cache(settings), _assets()]


def _room(settings: Settings) -> Finding:
    directory = _existing(settings.state_dir.absolute())
    free_gib = shutil.disk_usage(directory).free / _GIB
    found = f"{free_gib:,.1f} GiB free at {directory}"
    holds = "the embedded database" if settings.database_url is None else "compiled kernels; the database is elsewhere"
    if free_gib < _LEAST_GIB:
        return ill(
            "disk", f"{found} ({holds})", "Make room now: a full disk stops ingest. docs/operating.md, “Full disk”."
        )
    if free_gib < _ROOM_GIB and settings.database_url is None:
        return doubtful("disk", f"{found} ({holds})", "Make room: 18 million pings take about 2.4 GiB until sealed.")
    return well("disk", found)


def _kernel_cache(settings: Settings) -> Finding:
    directory = _existing(settings.state_dir.absolute())
    try:
        tempfile.TemporaryFile(dir=directory).close()
    except OSError as error:
        return doubtful(
            "kernel cache",
            f"{directory} cannot be written: {error.strerror}",
            "Every start compiles the kernels anew. Set TRAILMATCH_STATE_DIR to a directory that can be written.",
        )
    return well("kernel cache", f"kept in {directory}")


def _assets() -> Finding:
    if _ASSETS.exists():
        return well("pages", "their libraries are built")
    return doubtful("pages", "the libraries of /docs are not built", "Run: make assets (it needs Node.js with npm).")


def _existing(path: Path) -> Path:
    """The path, or the nearest directory above it that is there."""
    return path if path.exists() else _existing(path.parent)
