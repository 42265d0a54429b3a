"""Mails to people, handed to a real SMTP server, by a clock that the test sets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.delivery.mail import BadAddress, Line, compose
from app.delivery.mailing import send_mails
from app.delivery.smtp import Relay, hand_in
from tests.app.delivery.conftest import Clock, Town
from tests.app.delivery.receivers import server_tls
from tests.app.delivery.test_routing import account

NIGHTS = {"quiet_from": "19:00", "quiet_to": "07:30"}


class Inbox:
    """Takes mail, or refuses it with `refusal`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refusal: str | None = None
        self.has_come = asyncio.Event()
        self.answers_after_s = 0.0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - its name
        if self.refusal is not None:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        self.has_come.set()
        await asyncio.sleep(self.answers_after_s)
        return "250 OK"

    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]


@contextlib.asynccontextmanager
async def relaying(
    inbox: Inbox, port: int = 0, tls: ssl.SSLContext | None = None, *, starttls: bool = False, login: bool = False
) -> AsyncIterator[int]:
    """A mail server for the block; gives its port."""

    def check(_server: object, _session: object, _envelope: object, _method: str, given: object) -> AuthResult:
        return AuthResult(success=given == LoginPassword(b"kent", b"secret"), handled=False)

    def make() -> SMTP:
        return SMTP(
            inbox,
            enable_SMTPUTF8=False,
            tls_context=tls if starttls else None,
            require_starttls=starttls,
            authenticator=check if login else None,
            auth_required=login,
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", port, ssl=None if starttls else tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def relay(port: int, tls: ssl.SSLContext, host: str = "127.0.0.1") -> Relay:
    return Relay(host, port, "none", None, None, "alerts@trailmatch.example", tls)


async def mail_all(town: Town) -> None:
    await town.route()
    while await send_mails(town.pool, town.outside):
        pass


async def test_a_mail_says_numbers_and_times_and_nothing_of_people_or_places(
    town: Town, trusting: ssl.SSLContext
) -> None:
    inbox = Inbox()
    hub = await account(town, "hub", "hub_manager")
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.raise_alerts("C1")
        await mail_all(town)
    [mail], [[recipient]] = inbox.mails, inbox.recipients
    [delivery] = await town.deliveries(account_id=hub)
    assert recipient == "hub@kent.example"
    assert mail["message-id"] == f"<{delivery['event_id']}@trailmatch.example>"
    assert (mail.get_content_type(), mail["auto-submitted"]) == ("text/plain", "auto-generated")
    alert = (await town.call("GET", f"/v1/alerts/{(await town.alert_ids())[0]}")).json()
    assert mail["subject"] == f"{alert['number']}: a new alert"
    text = mail.get_content()
    assert f"https://trailmatch.example/v1/alerts/{alert['alert_id']}" in text
    for secret in ("W1", "C1", "BIAD", "Kent", "hub", "53.8"):
        assert secret not in text.replace("the hub of", "")
    assert (delivery["state"], delivery["attempts"]) == ("delivered", 1)
    [notice] = (await town.call("GET", f"/v1/alerts/{alert['alert_id']}/notices")).json()["notices"]
    assert notice["told_at"] is not None


async def test_a_night_is_kept_and_a_digest_tells_all_of_it_in_one_mail(
    town: Town, clock: Clock, trusting: ssl.SSLContext
) -> None:
    inbox = Inbox()
    hub = await account(town, "hub", "hub_manager")
    await town.call("PUT", f"/v1/accounts/{hub}/preference", NIGHTS | {"digest_at": ["08:00"]})
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        clock.now = datetime(2026, 7, 1, 18, 30, tzinfo=UTC)
        await town.raise_alerts("C1", "C2")
        await mail_all(town)
        await town.withdraw("C1")
        clock.now = datetime(2026, 7, 2, 6, 59, tzinfo=UTC)
        await mail_all(town)
        assert inbox.mails == []
        clock.now = datetime(2026, 7, 2, 7, 0, tzinfo=UTC)
        await mail_all(town)
    [mail] = inbox.mails
    assert mail["subject"] == "3 notices on 2 alerts"
    lines = [line for line in mail.get_content().splitlines() if line.startswith("A-")]
    assert [line.partition(" (")[0].partition(": ")[2] for line in lines] == [
        "a new alert",
        "a new alert",
        "the alert is withdrawn",
    ]


async def test_what_is_urgent_is_told_at_night_by_itself(town: Town, clock: Clock, trusting: ssl.SSLContext) -> None:
    inbox = Inbox()
    hub = await account(town, "hub", "hub_manager")
    now = datetime.now(UTC)
    # Quiet for the whole day but the minute before now.
    local = now + timedelta(hours=1)
    quiet = {"quiet_from": f"{local:%H:%M}", "quiet_to": f"{local - timedelta(minutes=1):%H:%M}"}
    clock.now = now + timedelta(hours=3)
    await town.call("PUT", f"/v1/accounts/{hub}/preference", quiet)
    await town.call("PUT", "/v1/routing-rule", {"escalate_after_s": 60, "urgent_offences": []})
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.raise_alerts("C1")
        await mail_all(town)
        assert inbox.mails == []
        from app.delivery.escalation import escalate

        assert await escalate(town.pool, clock.now) == 1
        await mail_all(town)
    assert [mail["subject"].partition(" A-")[0] for mail in inbox.mails] == ["Urgent:"]


async def test_a_relay_that_is_down_for_three_days_takes_every_mail_once_it_is_back_in_order(
    town: Town, clock: Clock, trusting: ssl.SSLContext
) -> None:
    inbox = Inbox()
    await account(town, "hub", "hub_manager")
    async with relaying(inbox) as port:
        pass
    town.outside = town.outside._replace(relay=relay(port, trusting))
    began = clock.now
    await town.raise_alerts("C1", "C2")
    while clock.now < began + timedelta(days=3):
        await mail_all(town)
        clock.forward(hours=1)
        if clock.now == began + timedelta(days=1):
            await town.withdraw("C1")
    [waiting] = await town.deliveries(state="waiting")
    assert (waiting["last_error"], 40 < waiting["attempts"] < 90) == ("unreachable", True)
    async with relaying(inbox, port):
        clock.forward(hours=1)
        await mail_all(town)
    first, second = inbox.texts()
    assert (first.count("a new alert"), second.count("the alert is withdrawn")) == (2, 1)
    assert inbox.mails[0]["message-id"] == f"<{waiting['event_id']}@trailmatch.example>"


async def test_a_sender_that_dies_sends_the_same_mail_again(town: Town, trusting: ssl.SSLContext) -> None:
    inbox = Inbox()
    await account(town, "hub", "hub_manager")
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.raise_alerts("C1")
        await town.route()
        inbox.answers_after_s = 60.0  # it has the mail, and the sender does not know yet
        sending = asyncio.create_task(send_mails(town.pool, town.outside))
        async with asyncio.timeout(60):
            await inbox.has_come.wait()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        inbox.answers_after_s = 0.0
        assert await send_mails(town.pool, town.outside) == 0  # its lease goes on
        await town.pool.execute("UPDATE delivery SET claimed_until = now() - interval '1 second'")
        assert await send_mails(town.pool, town.outside) == 1
    first, second = inbox.mails
    assert (first.items(), first.get_content()) == (second.items(), second.get_content())


async def test_several_senders_send_each_mail_once(town: Town, trusting: ssl.SSLContext) -> None:
    inbox = Inbox()
    for name in ("a", "b", "c", "d", "e", "f", "g"):
        await account(town, name, "hub_manager")
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.raise_alerts("C1")
        await town.route()
        await asyncio.gather(*(mail_all(town) for _ in range(3)))
    assert sorted(inbox.recipients) == [[f"{name}@kent.example"] for name in "abcdefg"]


async def test_a_mail_that_is_refused_is_tried_again_and_one_to_who_has_left_is_not(
    town: Town, clock: Clock, trusting: ssl.SSLContext
) -> None:
    inbox = Inbox()
    hub = await account(town, "hub", "hub_manager")
    inbox.refusal = "550 no such mailbox"
    async with relaying(inbox) as port:
        town.outside = town.outside._replace(relay=relay(port, trusting))
        await town.raise_alerts("C1")
        await mail_all(town)
        [delivery] = await town.deliveries(account_id=hub)
        assert (delivery["state"], delivery["last_status"], delivery["last_error"]) == ("waiting", 550, "refused")
        inbox.refusal = None
        await town.pool.execute("UPDATE account SET disabled_at = now()")
        clock.forward(hours=1)
        await mail_all(town)
        assert inbox.mails == []
        await town.pool.execute("UPDATE account SET disabled_at = NULL")
        assert (await town.call("POST", f"/v1/deliveries/{delivery['delivery_id']}/retry")).status_code == 200
        await mail_all(town)
    assert len(inbox.mails) == 1


async def test_without_a_relay_notices_wait(town: Town) -> None:
    await account(town, "hub", "hub_manager")
    await town.raise_alerts("C1")
    await mail_all(town)
    assert await town.deliveries() == []
    assert await town.pool.fetchval("SELECT count(*) FROM notice") == 1


def letter() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@b.example", "c@d.example", "x"
    mail.set_content("x")
    return mail


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_relay_is_spoken_to_in_secret_and_only_if_its_certificate_is_right(
    trusting: ssl.SSLContext, security: str
) -> None:
    inbox = Inbox()
    async with relaying(inbox, tls=server_tls(), starttls=security == "starttls") as port:
        secret = relay(port, trusting, "localhost")._replace(security=security)  # type: ignore[arg-type]
        assert (await hand_in(secret, "c@d.example", letter())).error is None
        stranger = secret._replace(tls=ssl.create_default_context())
        assert (await hand_in(stranger, "c@d.example", letter())).error == "tls"
    assert len(inbox.mails) == 1
    async with relaying(inbox) as port:  # offers no encryption
        plain = secret._replace(port=port)
        assert (await hand_in(plain, "c@d.example", letter())).error is not None
    assert len(inbox.mails) == 1


async def test_a_relay_that_asks_who_we_are_is_told(trusting: ssl.SSLContext) -> None:
    inbox = Inbox()
    async with relaying(inbox, tls=server_tls(), starttls=True, login=True) as port:
        known = relay(port, trusting, "localhost")._replace(security="starttls", user="kent", password="secret")
        assert (await hand_in(known, "c@d.example", letter())).error is None
        refused = await hand_in(known._replace(password="wrong"), "c@d.example", letter())
        assert (refused.error, refused.status) == ("refused", 535)


def test_an_address_that_is_two_is_refused() -> None:
    from uuid import uuid4

    now = datetime.now(UTC)
    line = Line(uuid4(), "raised", now, is_urgent=False)
    for bad in ("a,b@c.example", "a@b@c", "<x>@y.example", "a@b;c", "a(b)@c.example"):
        with pytest.raises(BadAddress):
            compose(uuid4(), now, "s@t.example", bad, [line], "")
