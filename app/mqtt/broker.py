"""The broker's side of the bridge: a session that outlives us, and messages that are acknowledged by hand.

The broker keeps what we have not acknowledged, and sends it again after a reconnection or to our next process: so a
message is acknowledged only when the service has stored it. At most IN_FLIGHT messages are with us at a time.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from app.failure import Failure
from app.mqtt.topic import Topic

IN_FLIGHT: Final = 2_000
_LARGEST_BYTES: Final = 1_000_000
_SESSION_S: Final = 7 * 86_400
_LONGEST_PAUSE_S: Final = 30
_SHORT_S: Final = 20.0
_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
# Answers after which asking again is no use.
_FINAL: Final = frozenset(
    {
        "Bad user name or password",
        "Not authorized",
        "Banned",
        "Bad authentication method",
        "Client identifier not valid",
    }
)

log = structlog.get_logger("trailmatch.mqtt")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how it lets us in."""

    url: str  # mqtt://host:1883 or mqtts://host:8883
    client_id: str  # the session's name; of two bridges of one name each throws the other out
    user: str | None = None
    password: str | None = None
    ca_file: str | None = None

    def address(self) -> tuple[str, int, bool]:
        """Host, port, whether TLS. Raises Failure if the URL is none."""
        parts = urlsplit(self.url)
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/") or parts.username:
            raise Failure("--broker is mqtt://host:port or mqtts://host:port; name and password go into variables")
        return parts.hostname, parts.port or _PORTS[parts.scheme], parts.scheme == "mqtts"


class Message(NamedTuple):
    """A message, and the connection on which it may be acknowledged: on a later one its number means another."""

    topic: str
    payload: bytes
    number: int
    qos: int
    connection: int


class Subscription:
    """Messages as they come. Callbacks of the network's thread only hand over to the event loop."""

    def __init__(self, broker: Broker, topic: Topic) -> None:
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._messages = asyncio.Queue[Message | Failure]()
        self._connection = 0
        self._connected_at_s = 0.0
        self._client = _client(broker)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message

    @contextlib.contextmanager
    def open(self, broker: Broker) -> Iterator[None]:
        """Stay connected for the block; the session stays behind, and so does what is not acknowledged."""
        host, port, _ = broker.address()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = _SESSION_S
        properties.ReceiveMaximum = IN_FLIGHT
        properties.MaximumPacketSize = _LARGEST_BYTES
        self._client.connect_async(host, port, clean_start=False, properties=properties)
        self._client.loop_start()
        try:
            yield
        finally:
            self._client.disconnect()
            self._client.loop_stop()

    async def take(self, most: int) -> list[Message]:
        """Wait for a message; give it and those that have come meanwhile, at most so many.

        Raises Failure if the broker does not let us in.
        """
        taken = [_raised(await self._messages.get())]
        while len(taken) < most and not self._messages.empty():
            taken.append(_raised(self._messages.get_nowait()))
        return taken

    def acknowledge(self, messages: list[Message]) -> None:
        """Tell the broker to forget these, in their order; it sends again those of an earlier connection."""
        for message in messages:
            if message.qos and message.connection == self._connection:
                self._client.ack(message.number, message.qos)

    def _hand_over(self, what: Message | Failure) -> None:
        self._loop.call_soon_threadsafe(self._messages.put_nowait, what)

    def _on_connect(
        self, client: Client, _data: object, flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            if code.getName() in _FINAL:
                self._hand_over(Failure(f"the broker refuses us: {code.getName()}"))
            else:
                log.warning("the broker refuses us for now", reason=code.getName())
            return
        self._connection += 1
        self._connected_at_s = time.monotonic()
        log.info("connected to the broker", session_kept=flags.session_present)
        client.subscribe(self._topic.filter, qos=1)

    def _on_subscribe(
        self, _client: Client, _data: object, _number: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        if any(code.is_failure for code in codes):
            self._hand_over(Failure(f"the broker does not let us read {self._topic.filter}: {codes[0].getName()}"))
        else:
            # Of a session that is new, only from here on: what was published before is for nobody.
            log.info("subscribed", topic=self._topic.filter)

    def _on_disconnect(
        self, _client: Client, _data: object, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.getName() == "Session taken over":
            self._hand_over(Failure("another bridge of the same --client-id took our session; give each its own"))
        elif code.is_failure:
            # Some brokers throw out the elder of two without a word, and the two then throw each other out for ever.
            is_short = time.monotonic() - self._connected_at_s < _SHORT_S
            hint = "is there another bridge of the same --client-id?" if is_short else None
            log.warning("the connection to the broker is lost; it is made again", reason=code.getName(), hint=hint)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        self._hand_over(Message(message.topic, bytes(message.payload), message.mid, message.qos, self._connection))


def _raised(taken: Message | Failure) -> Message:
    if isinstance(taken, Failure):
        raise taken
    return taken


def _client(broker: Broker) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, broker.client_id, protocol=MQTTProtocolVersion.MQTTv5, manual_ack=True)
    client.reconnect_delay_set(1, _LONGEST_PAUSE_S)
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    _, _, is_tls = broker.address()
    if is_tls:
        try:
            client.tls_set(ca_certs=broker.ca_file)
        except OSError as error:
            raise Failure(f"--ca-file {broker.ca_file}: {error.strerror}") from None
    return client
