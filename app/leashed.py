"""Start a process on a leash: it gets SIGINT when we end, however we end."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

_LEASH = Path(__file__).with_name("leash.py")


class Account(NamedTuple):
    """A user of this machine."""

    uid: int
    gid: int


def start_leashed(
    command: Sequence[str],
    output: IO[bytes] | int,
    *,
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    pass_fds: Sequence[int] = (),
    account: Account | None = None,
) -> "subprocess.Popen[bytes]":
    """Start a command, as another account if one is given; what it says on both streams goes to `output`.

    Its first word is an absolute path. Ctrl-C in the terminal does not reach it: we stop it when we are done. Linux
    ties the leash to the thread that calls this; elsewhere there is none, and what we start outlives our being killed.
    """
    uid, gid = account or ("-", "-")
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), str(uid), str(gid), *command],
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        pass_fds=pass_fds,
        start_new_session=True,
    )
