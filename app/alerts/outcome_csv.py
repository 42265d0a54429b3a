"""Outcomes in a CSV file: a header, then one outcome a line. Pure, no database."""

import csv
import io
import re
from typing import NamedTuple
from uuid import UUID

from app.alerts.decision_schemas import PostedOutcome
from app.alerts.outcomes import NamedOutcome
from app.errors import BadBody
from app.identity import ids_of_alert_number
from app.rows import RowError, check_rows

COLUMNS = ("alert", "outcome", "date", "source", "reference")
CSV_EXAMPLE = "alert,outcome,date,source,reference\nA-M717YKX5,arrested,2026-03-15,Kent Police custody,C/2026/4471\n"

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_ACTIONS = {
    "/alert": "Give the alert's number, as in A-M717YKX5, or its id.",
    "/outcome": "Give one of eliminated, arrested, charged, convicted, no_further_action.",
    "/date": "Give the day as in 2026-03-15.",
    "/source": "Say who gave the outcome, in at most 200 signs.",
    "/reference": "Give the source's reference in at most 200 signs, or leave it empty.",
}


class OutcomeRows(NamedTuple):
    """What a file holds: the rows that can be read, and what is wrong with the others."""

    good: list[NamedOutcome]
    errors: list[RowError]


def read_outcome_csv(body: bytes) -> OutcomeRows:
    """Read a file; a line is counted from 1, the header's. Raises BadBody if it is no CSV file with these columns."""
    try:
        # Spreadsheets put a mark of three bytes in front.
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise BadBody(f"The first line has to name the columns {', '.join(COLUMNS)}, each once.")
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except UnicodeDecodeError:
        raise BadBody("The body is not UTF-8. Save the file as CSV UTF-8.") from None
    except csv.Error as error:
        raise BadBody(f"The body is not CSV: {error}.") from None
    rows = OutcomeRows([], [])
    for line, cells in lines:
        _read_line(rows, line, header, cells)
    return rows


def _read_line(rows: OutcomeRows, line: int, header: list[str], cells: list[str]) -> None:
    if len(cells) != len(header):
        message = f"this line has {len(cells)} cells, and the header {len(header)}"
        action = "Put a cell that holds a comma into quotes, and leave none out."
        rows.errors.append(
            RowError(line=line, pointer="", code="wrong_columns", message=message, required_action=action)
        )
        return
    row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    checked = check_rows([row], PostedOutcome)
    rows.errors.extend(
        error.model_copy(update={"line": line, "required_action": _ACTIONS.get(error.pointer)})
        for error in checked.errors
    )
    ids = _ids(row["alert"])
    if ids is None:
        message = "this is neither an alert's number nor an id"
        rows.errors.append(
            RowError(line=line, pointer="/alert", code="invalid", message=message, required_action=_ACTIONS["/alert"])
        )
    elif checked.good:
        rows.good.append(NamedOutcome(line, *ids, checked.good[0].record))


def _ids(alert: str) -> tuple[UUID, UUID] | None:
    """Give the least and the greatest id that is meant."""
    if _UUID.fullmatch(alert):
        return UUID(alert), UUID(alert)
    return ids_of_alert_number(alert)
