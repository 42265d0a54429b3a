"""`python -m benchmarks table RESULTS.json …`: the README's tables, written from what was measured."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.failure import Failure
from benchmarks.service_table import COLUMNS, is_of_service, service_rows

BEGINS = "<!-- benchmarks: written by `python -m benchmarks table` -->"
ENDS = "<!-- end of benchmarks -->"
SERVICE_BEGINS = "<!-- the service: written by `python -m benchmarks table` -->"
SERVICE_ENDS = "<!-- end of the service -->"


def table(
    results: Annotated[
        list[Path],
        typer.Argument(help="What `join`, `arrival`, `stream`, `ingest`, `latency` or `nation` printed with `--json`."),
    ],
    readme: Annotated[Path, typer.Option(help="The file with the markers.")] = Path("README.md"),
) -> None:
    """Rewrite what stands between the markers of the README: of the join, of the service, or of both.

    Raises Failure if there is no place for what is given.
    """
    given = [json.loads(path.read_text()) for path in results]
    of_service = [result for result in given if is_of_service(result)]
    of_join = [result for result in given if not is_of_service(result)]
    text = readme.read_text()
    if of_join:
        text = _between(text, BEGINS, ENDS, "\n\n".join(map(table_of, of_join)), readme)
    if of_service:
        rows = [row for result in of_service for row in service_rows(result)]
        text = _between(text, SERVICE_BEGINS, SERVICE_ENDS, _markdown([COLUMNS, *rows]), readme)
    readme.write_text(text)


def _between(text: str, begins: str, ends: str, written: str, readme: Path) -> str:
    before, found, rest = text.partition(begins)
    _, ended, after = rest.partition(ends)
    if not found or not ended:
        raise Failure(f"{readme} has no place for the table: it stands between {begins} and {ends}")
    return f"{before}{begins}\n{written}\n{ends}{after}"


def table_of(result: dict[str, Any]) -> str:
    """One result as a Markdown table under a line that says what was measured and where."""
    machine = result["machine"]
    head = (
        f"{result['workload']}, seed {result['seed']}: {result['pings']:,} pings, {result['incidents']:,} incidents, "
        f"{result['threads']} threads; {machine['cores']} cores ({machine['machine']}), "
        f"load {machine['load_before'][0]} before; equal answers."
    )
    if "p50_us" in result:
        columns = ["engine", "form", "p50, µs", "p99, µs", "times ours"]
        rows = [
            [row["engine"], row["form"], row["p50_us"], row["p99_us"], row.get("ratio", "")] for row in result["rows"]
        ]
    else:
        columns = ["engine", "form", "median, ms", "ns a ping", "build, ms", "times ours"]
        rows = [
            [row["engine"], row["form"], row["median_ms"], row["ns_per_ping"], row["build_ms"], row.get("ratio", "")]
            for row in result["rows"]
        ]
    return f"{head}\n\n{_markdown([columns, *rows])}"


def _markdown(rows: list[list[Any]]) -> str:
    """Rows, the first of them the columns' names, as a table."""
    lines = ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])
