"""Comparable days: presence at a place in the same hours of the days before."""

from matcher.context import History, Incident, padded_window
from matcher.jumps import set_aside_jumps
from matcher.presence import Shifted, shifted_presence
from matcher.profile import Profile
from matcher.window import Bridges, Place


def comparable_presence(
    history: History, incident: Incident, profile: Profile, place: Place, bridges: Bridges
) -> Shifted:
    """Give A and what is known of it on each comparable day."""
    kept, _, _ = set_aside_jumps(history.fixes, profile.max_speed_mps)
    return shifted_presence(kept, place, padded_window(incident, profile), bridges, history.shifts_us)
