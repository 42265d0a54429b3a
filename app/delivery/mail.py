"""What a mail says: numbers of alerts, what happened and when, and where to read the rest; no names and no places."""

from collections.abc import Sequence
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import NamedTuple
from uuid import UUID

from app.delivery.cloud_event import alert_path
from app.delivery.telling import LONDON
from app.identity import alert_number


class Line(NamedTuple):
    """One thing that a person is told."""

    alert_id: UUID
    kind: str
    at: datetime
    is_urgent: bool


_SAID = {
    "raised": "a new alert",
    "reopened": "the alert is open again",
    "revised": "the verdict has changed",
    "withdrawn": "the alert is withdrawn",
    "assigned": "you are to look after the alert",
    "decided": "a decision awaits a second check",
    "escalated": "nobody has looked at the alert yet",
}


class BadAddress(Exception):  # noqa: N818 - a finding
    """The account's e-mail address is not one that mail can be sent to."""


def compose(
    event_id: UUID, created_at: datetime, sender: str, recipient: str, lines: Sequence[Line], public_url: str
) -> EmailMessage:
    """Write a mail; the same in every attempt. Raises BadAddress."""
    message = EmailMessage()
    message["From"] = Address("TrailMatch", addr_spec=sender)
    message["To"] = _address(recipient)
    message["Subject"] = _subject(lines)
    message["Date"] = format_datetime(created_at)
    message["Message-ID"] = f"<{event_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join([*(_text(line, public_url) for line in lines), _WHY]))
    return message


def _address(text: str) -> Address:
    try:
        address = Address(addr_spec=text)
    except (ValueError, IndexError, MessageError):
        raise BadAddress from None
    if address.addr_spec != text:  # a comment was in it
        raise BadAddress
    return address


_WHY = """
You are told because you manage the person concerned, or belong to the hub of an organisation that the alert
concerns, or were asked to look after it. Who and where is said only when you have signed in.
"""


def _subject(lines: Sequence[Line]) -> str:
    urgent = "Urgent: " if any(line.is_urgent for line in lines) else ""
    if len(lines) == 1:
        return f"{urgent}{alert_number(lines[0].alert_id)}: {_SAID[lines[0].kind]}"
    return f"{urgent}{len(lines)} notices on {len({line.alert_id for line in lines})} alerts"


def _text(line: Line, public_url: str) -> str:
    at = line.at.astimezone(LONDON)
    where = f"\n  {public_url}{alert_path(line.alert_id)}" if public_url else ""
    return f"{alert_number(line.alert_id)}: {_SAID[line.kind]} ({at:%d %B %Y, %H:%M}){where}\n"
