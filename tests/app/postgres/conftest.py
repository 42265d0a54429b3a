import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.postgres import running_postgres
from tests.app.postgres.holding import HOLDERS, servers_in, wait_until


@pytest.fixture
def empty_dir() -> Iterator[Path]:
    """A directory whose path leaves room for a socket, with nothing running in it at the end."""
    directory = Path(tempfile.mkdtemp(prefix="trailmatch-test-"))
    directory.chmod(0o755)
    yield directory
    while HOLDERS:
        with HOLDERS.pop() as holder:
            holder.kill()
    wait_until(lambda: not servers_in(directory))
    shutil.rmtree(directory)


@pytest.fixture(scope="package")
def made_cluster() -> Iterator[Path]:
    """A cluster that was made, used and stopped."""
    directory = Path(tempfile.mkdtemp(prefix="trailmatch-test-"))
    directory.chmod(0o755)
    with running_postgres(directory):
        pass
    yield directory / "postgres"
    shutil.rmtree(directory)


@pytest.fixture
def state_dir(empty_dir: Path, made_cluster: Path) -> Path:
    """A state directory with a cluster: making one takes longer than all the rest of a test."""
    shutil.copytree(made_cluster, empty_dir / "postgres")
    return empty_dir
