"""Run a command that gets SIGINT when the process that started it ends, however that ends.

A script, not a module: `python -I -S leash.py PARENT_PID UID GID COMMAND…` becomes the command. It is a step of its own
because what has to happen between fork and exec must not run in a copy of a process with threads.
UID and GID are `-` to stay who we are. The command's first word is an absolute path: as another user we may not even
be allowed to read Python's own files, so nothing can be imported or looked up after the change.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent: str, uid: str, gid: str, *command: str) -> None:
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    # A shell's background job is told to ignore it, and would hand that on; to the command it means: end.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":  # after setuid, which would clear it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != int(parent):  # it ended before the leash was on
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the command is a fixed list, and no shell is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
