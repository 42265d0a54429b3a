"""How far a benchmark is, as a bar: on stderr, so that stdout holds nothing but the result, and on a terminal only."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

Tell = Callable[[str, float], None]  # what is being done, and how much of it is done, 0 to 1


@contextlib.contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar for the time of the block, and what moves it."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("starting", total=1.0)
        yield lambda doing, done: progress.update(task, description=doing, completed=done)
