"""A topic as its user writes it: levels as in MQTT, and `{device_id}` for the level that names the tag."""

from typing import Final, NamedTuple

from app.failure import Failure

_DEVICE: Final = "{device_id}"


class Topic(NamedTuple):
    """What to subscribe to, and where in it the tag's serial is."""

    filter: str  # as MQTT has it
    device_level: int | None  # None: messages say it themselves

    def device_id(self, topic: str) -> str | None:
        """Give the serial that a message's topic names."""
        return None if self.device_level is None else topic.split("/")[self.device_level]


def parse_topic(text: str) -> Topic:
    """Read a topic. Raises Failure if it is none, or names the tag twice."""
    levels = text.split("/")
    if text.count(_DEVICE) > 1 or (_DEVICE in text and _DEVICE not in levels):
        raise Failure(f"--topic {text}: {_DEVICE} stands once, for a whole level, as in tags/{_DEVICE}/pings")
    misplaced = [level for level in levels if ("+" in level and level != "+") or ("#" in level and level != "#")]
    if not text or misplaced or "#" in levels[:-1]:
        raise Failure(
            f"--topic {text!r} is no MQTT topic: + stands for a whole level, # for all that follow, at the end"
        )
    device_level = levels.index(_DEVICE) if _DEVICE in levels else None
    return Topic("/".join("+" if level == _DEVICE else level for level in levels), device_level)
