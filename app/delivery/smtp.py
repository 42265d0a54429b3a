"""Mail handed to the relay that the settings name, by SMTP."""

import ssl
from email.message import EmailMessage
from typing import Literal, NamedTuple

import aiosmtplib

from app.settings import Settings

_TIMEOUT_S = 20.0


class Relay(NamedTuple):
    """Where mail is handed in, and as whom."""

    host: str
    port: int
    security: Literal["starttls", "tls", "none"]
    user: str | None
    password: str | None
    sender: str
    tls: ssl.SSLContext


class Handed(NamedTuple):
    """What came of handing a mail in."""

    error: str | None  # None: the relay has taken it
    status: int | None = None


def relay_of(settings: Settings, tls: ssl.SSLContext) -> Relay | None:
    """Give the relay of the settings; None if they name none."""
    if settings.smtp_host is None:
        return None
    return Relay(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=settings.smtp_password,
        sender=settings.mail_from,
        tls=tls,
    )


async def hand_in(relay: Relay, recipient: str, message: EmailMessage) -> Handed:
    """Hand a mail in. Whatever goes wrong is a code: unreachable, tls, timeout, refused; and the relay's status.

    With `starttls` or `tls` nothing goes over the wire in the clear: a relay that offers neither is refused.
    """
    try:
        await aiosmtplib.send(
            message,
            sender=relay.sender,
            recipients=[recipient],
            hostname=relay.host,
            port=relay.port,
            username=relay.user,
            password=relay.password,
            use_tls=relay.security == "tls",
            start_tls=relay.security == "starttls",
            tls_context=None if relay.security == "none" else relay.tls,
            timeout=_TIMEOUT_S,
        )
    except aiosmtplib.SMTPRecipientsRefused as error:
        return Handed("refused", error.recipients[0].code)
    except aiosmtplib.SMTPResponseException as error:
        return Handed("refused", error.code)
    except (TimeoutError, aiosmtplib.SMTPTimeoutError):
        return Handed("timeout")
    except ssl.SSLError:
        return Handed("tls")
    except (OSError, aiosmtplib.SMTPException) as error:
        return Handed("tls" if isinstance(error.__cause__, ssl.SSLError) else "unreachable")
    return Handed(None)
