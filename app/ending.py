"""Loops that go on after trouble, and end all the same when they are told to."""

import asyncio


def end_if_cancelled() -> None:
    """Raise CancelledError in a task that was cancelled, whatever became of that.

    A cancellation that meets a connection which has just broken can come out as the connection's own error, and Python
    3.11 loses one that comes in the moment in which `wait_for` has its answer. A loop that catches errors, waits and
    goes on asks here before it waits, or it never ends, and its process with it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
