"""What a person at a terminal sees while a file of pings is sent: rows so far, and the first errors."""

from typing import Any

import httpx
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from app.pings.loading import Sum, load_file

_ERRORS_SHOWN = 20
_ANSWER_S = 120.0  # the longest that a full body may take to be stored


def load_with_progress(file: str, url: str, key: str) -> Sum:
    """Send a file, telling of it on standard error. Raises Failure as `load_file` does."""
    terminal = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn()
    with (
        Progress(*columns, console=terminal, disable=not terminal.is_terminal) as progress,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=_ANSWER_S) as client,
    ):
        task = progress.add_task("pings sent", total=None)
        shown = 0

        def report(so_far: Sum, errors: list[dict[str, Any]]) -> None:
            nonlocal shown
            progress.update(task, completed=so_far.rows)
            for error in errors[: _ERRORS_SHOWN - shown]:
                shown += 1
                place = f"row {error['line']} {error['pointer']}".strip()
                terminal.print(f"{place}: {error['code']}: {error['message']}", markup=False, soft_wrap=True)

        return load_file(file, client, report)
