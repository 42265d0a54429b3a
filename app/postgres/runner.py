"""As whom PostgreSQL runs: it refuses to be root, and root is what we often are in a container."""

import contextlib
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.failure import Failure
from app.leashed import Account, start_leashed


@dataclass(frozen=True, slots=True)
class Runner:
    """How PostgreSQL's programs are started: on a leash, with the server's lock, and not as root, which they refuse."""

    lock: int
    prefix: tuple[str, ...] = ()
    account: Account | None = None  # None: as we are

    @property
    def files_uid(self) -> int:
        """Whose files the server's are."""
        return self.account.uid if self.account else os.geteuid()

    def give(self, directory: Path) -> None:
        """Let the server own this directory."""
        if self.account:
            os.chown(directory, *self.account)

    def start(
        self, command: list[str], output: "IO[bytes] | int", stdin: int = subprocess.DEVNULL
    ) -> "subprocess.Popen[bytes]":
        """Start a program, which inherits the lock."""
        return start_leashed(
            [*self.prefix, *command], output, stdin=stdin, cwd="/", pass_fds=(self.lock,), account=self.account
        )

    def finish(self, command: list[str], stdin: str) -> None:
        """Run a program to its end. Raises Failure with what it said, if that is not a good one."""
        with self.start(command, output=subprocess.PIPE, stdin=subprocess.PIPE) as process:
            said, _ = process.communicate(stdin.encode())
        if process.returncode != 0:
            raise Failure(f"{Path(command[0]).name} failed:\n{said.decode(errors='replace').strip()}")

    def reaches(self, programs: Path, home: Path) -> bool:
        """Whether it may run the programs and enter the state directory."""
        commands = [[str(programs / "postgres"), "--version"], [shutil.which("test") or "/bin/test", "-x", str(home)]]
        return all(self.start(command, output=subprocess.DEVNULL).wait() == 0 for command in commands)


def find_runner(programs: Path, cluster: Path, lock: int) -> Runner:
    """As ourselves; as root in a user namespace of its own; where that is forbidden, as an unprivileged account.

    A cluster stays with whom it was made for, since PostgreSQL runs only on files of its own.
    """
    owner = cluster.stat().st_uid if cluster.exists() else None
    us = os.geteuid()
    if us != 0:
        if owner not in {None, us}:
            raise Failure(
                f"{cluster} belongs to another user (uid {owner}); set TRAILMATCH_STATE_DIR to a directory of yours"
            )
        return Runner(lock)
    unshare = shutil.which("unshare")
    if owner in {None, 0} and unshare:
        # Inside, root is uid 1000; nothing outside changes: no account is added, no file changes hands.
        namespace = (unshare, "-U", "--map-user=1000", "--map-group=1000", "--")
        runner = Runner(lock, prefix=namespace)
        if runner.reaches(programs, cluster.parent):
            return runner
    runner = Runner(
        lock, account=_unprivileged_account() if owner in {None, 0} else Account(owner, cluster.stat().st_gid)
    )
    if owner == 0 or not runner.reaches(programs, cluster.parent):
        raise Failure(
            f"PostgreSQL refuses to run as root, and as another user it cannot use {programs} with {cluster.parent}; "
            "run TrailMatch as an ordinary user, or set DATABASE_URL"
        )
    return runner


def _unprivileged_account() -> Account:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            return Account(account.pw_uid, account.pw_gid)
    raise Failure("PostgreSQL refuses to run as root, and there is no user postgres or nobody; set DATABASE_URL")
