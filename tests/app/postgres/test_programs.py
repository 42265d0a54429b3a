"""Every version of PostgreSQL that is installed and supported."""

from pathlib import Path

import pytest

from app.failure import Failure
from app.postgres import programs, running_postgres
from app.postgres.programs import SUPPORTED, major_version, program_directories
from tests.app.postgres.holding import run


def test_data_of_a_version_that_is_not_installed_are_refused(state_dir: Path) -> None:
    (state_dir / "postgres" / "PG_VERSION").write_text("12\n")
    with pytest.raises(Failure, match="PostgreSQL 12, which made the data here, is not installed"):
        running_postgres(state_dir).__enter__()


INSTALLED = {major_version(directory): directory for directory in program_directories()}


@pytest.mark.parametrize("major", sorted(INSTALLED.keys() & set(SUPPORTED)))
def test_every_supported_version_that_is_installed_starts_and_its_data_stay_with_it(
    empty_dir: Path, monkeypatch: pytest.MonkeyPatch, major: int
) -> None:
    with monkeypatch.context() as only_this_one:
        only_this_one.setattr(programs, "program_directories", lambda: iter([INSTALLED[major]]))
        with running_postgres(empty_dir):
            pass
    with running_postgres(empty_dir) as server:
        assert str(run(server.url(), "SHOW server_version")).startswith(f"{major}.")
