"""`trailmatch mqtt`."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from enum import StrEnum
from typing import Annotated

import typer


class Form(StrEnum):
    """What the messages are."""

    PINGS = "pings"
    OWNTRACKS = "owntracks"
    TRACCAR = "traccar"


def mqtt(
    broker: Annotated[str, typer.Option(help="mqtt://host:1883, or mqtts://host:8883 with TLS; MQTT 5.")],
    topic: Annotated[
        str, typer.Option(help="As in tags/{device_id}/pings or owntracks/+/+: {device_id} names the tag.")
    ],
    key: Annotated[
        str, typer.Option(envvar="TRAILMATCH_KEY", help="API key; better in the variable: arguments can be seen.")
    ],
    form: Annotated[
        Form, typer.Option("--format", help="pings: an object, or an array of them, with the fields of POST /v1/pings.")
    ] = Form.PINGS,
    url: Annotated[str, typer.Option(envvar="TRAILMATCH_URL", help="The service.")] = "http://127.0.0.1:8000",
    client_id: Annotated[
        str, typer.Option(help="Names our session, in which the broker keeps what comes while we are away.")
    ] = "trailmatch",
    user: Annotated[str | None, typer.Option(envvar="TRAILMATCH_MQTT_USER", help="At the broker.")] = None,
    password: Annotated[str | None, typer.Option(envvar="TRAILMATCH_MQTT_PASSWORD", help="At the broker.")] = None,
    ca_file: Annotated[str | None, typer.Option(help="Certificates to trust, if not the system's.")] = None,
) -> None:
    """Pass positions from an MQTT broker on to the service, until SIGTERM or Ctrl-C.

    A message is acknowledged to the broker once its pings are stored, so it has to be published with QoS 1 or 2; what
    comes while service or bridge are away waits at the broker, for up to a week. Messages that are not understood are
    rejected and kept: GET /v1/pings/rejected.
    """
    from app.logs import write_logs  # noqa: PLC0415 - no other command waits for these
    from app.mqtt.bridge import bridge  # noqa: PLC0415 - as above
    from app.mqtt.broker import Broker  # noqa: PLC0415 - as above
    from app.mqtt.topic import parse_topic  # noqa: PLC0415 - as above

    write_logs()
    wanted = Broker(broker, client_id, user, password, ca_file)
    asyncio.run(_until_ended(bridge(wanted, parse_topic(topic), form, url, key)))


async def _until_ended(work: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
