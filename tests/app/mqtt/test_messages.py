"""Messages become lines of pings; what is not understood goes on, for the service to name its fault and keep it."""

import json

import pytest

from app.failure import Failure
from app.feeds import owntracks, traccar
from app.mqtt.messages import lines_of
from app.mqtt.topic import Topic, parse_topic

TAGS = parse_topic("tags/{device_id}/pings")
ANY = parse_topic("feed/#")
PING = {"device_id": "T-1", "fixed_at": "2026-03-14T02:11:00Z", "lon": 1.08, "lat": 51.27}


def rows(payload: object, topic: str = "feed/1", pattern: Topic = ANY, form: str = "pings") -> list[object]:
    text = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return [json.loads(line) for line in lines_of(text, topic, pattern, form)]


def test_a_ping_and_an_array_of_pings_go_on_as_they_are() -> None:
    assert rows(PING) == [PING]
    assert rows([PING, {**PING, "lon": 2}]) == [PING, {**PING, "lon": 2}]


def test_a_message_over_several_lines_is_one_line() -> None:
    text = json.dumps({**PING, "source": "g\nps"}, indent=2).encode()
    assert lines_of(text, "feed/1", ANY, "pings")[0].count(b"\n") == 0
    assert rows(text) == [{**PING, "source": "g\nps"}]


def test_the_topic_names_the_device_whatever_the_message_says() -> None:
    assert rows([PING, {"lon": 1}], "tags/T-9/pings", TAGS) == [
        {**PING, "device_id": "T-9"},
        {"device_id": "T-9", "lon": 1},
    ]


@pytest.mark.parametrize("form", ["pings", "owntracks", "traccar"])
@pytest.mark.parametrize("payload", [b"{not json", b"\xff\xfe", b"17", b'"text"'])
def test_what_is_not_understood_goes_on_in_one_line(form: str, payload: bytes) -> None:
    assert lines_of(payload, "feed/1", ANY, form) == [payload]


@pytest.mark.parametrize("form", ["pings", "owntracks", "traccar"])
def test_an_empty_message_holds_nothing(form: str) -> None:
    assert lines_of(b" ", "feed/1", ANY, form) == []


def test_owntracks_locations_have_their_own_units_and_are_named_by_their_topic() -> None:
    (row,) = rows(owntracks.EXAMPLE, "owntracks/tags/00417", parse_topic("owntracks/+/+"), "owntracks")
    assert row == {
        "device_id": "owntracks/tags/00417",
        "fixed_at_us": 1_709_285_400_000_000,
        "lon": -2.5879,
        "lat": 51.4545,
        "accuracy_m": 9,
        "speed_mps": pytest.approx(5 / 3.6),
        "direction_deg": 270,
    }
    (row,) = rows(owntracks.EXAMPLE, "owntracks/tags/00417", parse_topic("owntracks/+/{device_id}"), "owntracks")
    assert isinstance(row, dict)
    assert row["device_id"] == "00417"


def test_owntracks_messages_that_are_no_locations_are_left_out_but_not_encrypted_ones() -> None:
    assert rows({"_type": "lwt", "tst": 1}, form="owntracks") == []
    encrypted = {"_type": "encrypted", "data": "…"}
    assert rows(encrypted, form="owntracks") == [encrypted]


def test_traccar_positions_are_named_by_their_device_and_old_ones_left_out() -> None:
    (row,) = rows(traccar.EXAMPLE, form="traccar")
    assert isinstance(row, dict)
    assert (row["device_id"], row["speed_mps"]) == ("861230041234567", pytest.approx(2.5 * 1852 / 3600))
    outdated = {**traccar.EXAMPLE, "position": {**traccar.EXAMPLE["position"], "outdated": True}}
    assert rows(outdated, form="traccar") == []


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("tags/{device_id}/pings", Topic("tags/+/pings", 1)),
        ("owntracks/+/+", Topic("owntracks/+/+", None)),
        ("feed/#", Topic("feed/#", None)),
    ],
)
def test_a_topic_is_read(text: str, topic: Topic) -> None:
    assert parse_topic(text) == topic


@pytest.mark.parametrize("text", ["", "tags/x{device_id}", "{device_id}/{device_id}", "a/#/b", "a+/b"])
def test_a_topic_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Failure, match="--topic"):
        parse_topic(text)
