"""The cluster: PostgreSQL's files, and in them an empty database."""

import os
import shutil
import tempfile
from pathlib import Path

from app.postgres.runner import Runner

DATABASE = "trailmatch"
USER = "trailmatch"


def make_cluster(programs: Path, runner: Runner, home: Path) -> None:
    """Make the cluster and its database aside, then rename: cut off at any point, the next start begins anew."""
    for left in home.glob("postgres.new-*"):
        shutil.rmtree(left)
    new = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=home))
    runner.give(new)
    initdb = [str(programs / "initdb"), "-D", str(new), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"]
    single = [str(programs / "postgres"), "--single", "-D", str(new), "-c", "exit_on_error=on", "postgres"]
    runner.finish(initdb, stdin="")
    runner.finish(single, stdin=f"CREATE DATABASE {DATABASE};\n")
    new.rename(home / "postgres")
    fd = os.open(home, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


def cluster_version(cluster: Path) -> int | None:
    """Major version of PostgreSQL that made the cluster; None if there is none yet."""
    if not cluster.exists():
        return None
    return int((cluster / "PG_VERSION").read_text())
