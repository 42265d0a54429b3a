"""What every endpoint that takes pings does once it knows what was sent: who may, store, count."""

from fastapi import Request

from app import metrics
from app.access.viewer import Viewer
from app.errors import NotAllowed
from app.pings.delivery import Delivery
from app.pings.store import Receipt
from app.pings.waiting import WaitingRoom


def refuse_others(viewer: Viewer) -> None:
    """Raise NotAllowed unless the viewer's organisation is one that sends pings."""
    if viewer.kind not in {"contractor", "operator"}:
        raise NotAllowed(f"Pings come from tag contractors; {viewer.organisation} is a {viewer.kind} organisation.")


async def take_delivery(request: Request, viewer: Viewer, delivery: Delivery, now_us: int) -> Receipt:
    """Store a delivery and count it; what is counted in the receipt is on disk. Raises as WaitingRoom.store does."""
    receipt = await _store_of(request).store(viewer, delivery)
    for outcome in ("accepted", "duplicates", "conflicts", "rejected"):
        metrics.PINGS.labels(outcome).inc(getattr(receipt, outcome))
    if delivery.pings.size:
        metrics.PING_AGE.observe((now_us - int(delivery.pings["fixed_at_us"].max())) / 1e6)
    return receipt


def _store_of(request: Request) -> WaitingRoom:
    """The one store of this application, which remembers its database's devices and partitions."""
    state = request.app.state
    if not hasattr(state, "ping_store"):
        state.ping_store = WaitingRoom(state.pool)
    store: WaitingRoom = state.ping_store
    return store
