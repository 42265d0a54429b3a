"""`python -m benchmarks table RESULTS.json …`: the README's table of the join, written from what was measured."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from app.failure import Failure

BEGINS = "<!-- benchmarks: written by `python -m benchmarks table` -->"
ENDS = "<!-- end of benchmarks -->"


def table(
    results: Annotated[list[Path], typer.Argument(help="What `join --json` and `stream --json` printed.")],
    readme: Annotated[Path, typer.Option(help="The file with the two markers.")] = Path("README.md"),
) -> None:
    """Rewrite what stands between the two markers of the README. Raises Failure if they are not there."""
    text = readme.read_text()
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise Failure(f"{readme} has no place for the table: it stands between {BEGINS} and {ENDS}")
    written = "\n\n".join(table_of(json.loads(path.read_text())) for path in results)
    readme.write_text(f"{before}{BEGINS}\n{written}\n{ENDS}{after}")


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
    lines = ["| " + " | ".join("" if cell is None else str(cell) for cell in row) + " |" for row in [columns, *rows]]
    return "\n".join([head, "", lines[0], "|" + "---|" * len(columns), *lines[1:]])
