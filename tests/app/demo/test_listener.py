import httpx

from app.demo.listener import Ear, Event, _events


async def heard(text: str) -> list[Event]:
    return [event async for event in _events(httpx.Response(200, text=text))]


async def test_events_are_read_with_their_position_kind_and_alert() -> None:
    events = await heard('id: 7\nevent: alert.raised\ndata: {"a": 1}\n\nid: 8\nevent: alert.withdrawn\ndata: {}\n\n')
    assert [event[1:] for event in events] == [("7", "alert.raised", {"a": 1}), ("8", "alert.withdrawn", {})]


async def test_comments_and_events_without_data_are_passed_over() -> None:
    assert [event.position for event in await heard(": hello\n\nid: 1\n\n:\nid: 2\ndata:{}\n\ndata: {")] == ["2"]


async def test_data_may_come_in_several_lines() -> None:
    assert [event.alert for event in await heard('data: {"a":\ndata: 1}\n\n')] == [{"a": 1}]


async def test_an_ear_waits_for_alerts_but_not_for_ever() -> None:
    ear = Ear()
    ear.take(Event(0.0, "1", "alert.raised", {}))
    ear.take(Event(0.0, "2", "alert.revised", {}))
    await ear.wait_until_raised(1, timeout_s=60.0)
    await ear.wait_until_raised(2, timeout_s=0.0)
    assert ear.raised == 1
