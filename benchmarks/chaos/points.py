"""Named points of the service's work at which a process can be killed: after a statement, before or after a commit."""

from enum import Enum
from typing import NamedTuple

from app.activations.store import INSERT_EFFECTIVE
from app.alerts.decisions import SET_STATE
from app.alerts.dispatcher import DISPATCH
from app.delivery.routing import MOVE_ON
from app.delivery.webhooks import CLAIM as CLAIM_ENDPOINT
from app.delivery.webhooks import SET_DELIVERY
from app.incidents.store import INSERT_ARRIVALS
from app.matching.evaluate_stage import CLAIM as CLAIM_PAIRS
from app.matching.evaluate_stage import FINISH as FINISH_PAIRS
from app.matching.join_stage import (
    CLAIM_ARRIVALS,
    CLAIM_BATCHES,
    CLAIM_REJOINS,
    FINISH_ARRIVALS,
    FINISH_BATCHES,
    FINISH_REJOINS,
)
from app.pings.store import WRITE_BATCHES
from app.trails.dropping import NOTE, READ_ROWS
from app.trails.sealing import WRITE_CHUNKS


class When(Enum):
    """At which moment of a statement's transaction."""

    AFTER = "once the statement has been carried out"
    BEFORE_COMMIT = "before the commit of the transaction that it is part of"
    COMMITTED = "after that commit, before anybody has been told"


class Point(NamedTuple):
    """A moment in the life of a kind of process."""

    process: str  # service, worker or keeper
    statement: str  # its text, or the table that a COPY fills
    when: When


POINTS = {
    "after COPY": Point("service", "ping", When.AFTER),
    "before commit of pings": Point("service", WRITE_BATCHES, When.BEFORE_COMMIT),
    "pings committed, not answered": Point("service", WRITE_BATCHES, When.COMMITTED),
    "before commit of incidents": Point("service", INSERT_ARRIVALS, When.BEFORE_COMMIT),
    "incidents committed, not answered": Point("service", INSERT_ARRIVALS, When.COMMITTED),
    "before commit of fittings": Point("service", INSERT_EFFECTIVE, When.BEFORE_COMMIT),
    "before commit of a decision": Point("service", SET_STATE, When.BEFORE_COMMIT),
    "decision committed, not answered": Point("service", SET_STATE, When.COMMITTED),
    "batches claimed": Point("worker", CLAIM_BATCHES, When.AFTER),
    "before commit of a join": Point("worker", FINISH_BATCHES, When.BEFORE_COMMIT),
    "between the stages": Point("worker", FINISH_BATCHES, When.COMMITTED),
    "arrivals claimed": Point("worker", CLAIM_ARRIVALS, When.AFTER),
    "before commit of arrivals": Point("worker", FINISH_ARRIVALS, When.BEFORE_COMMIT),
    "arrivals joined": Point("worker", FINISH_ARRIVALS, When.COMMITTED),
    "rejoins claimed": Point("worker", CLAIM_REJOINS, When.AFTER),
    "before commit of rejoins": Point("worker", FINISH_REJOINS, When.BEFORE_COMMIT),
    "pairs claimed": Point("worker", CLAIM_PAIRS, When.AFTER),
    "before commit of matches": Point("worker", FINISH_PAIRS, When.BEFORE_COMMIT),
    "matches committed": Point("worker", FINISH_PAIRS, When.COMMITTED),
    "while dispatching": Point("worker", DISPATCH, When.BEFORE_COMMIT),
    "dispatched, nobody told": Point("worker", DISPATCH, When.COMMITTED),
    "before commit of routing": Point("worker", MOVE_ON, When.BEFORE_COMMIT),
    "endpoint claimed": Point("worker", CLAIM_ENDPOINT, When.AFTER),
    "delivered, not written down": Point("worker", SET_DELIVERY, When.BEFORE_COMMIT),
    "delivery written down": Point("worker", SET_DELIVERY, When.COMMITTED),
    "while sealing": Point("keeper", WRITE_CHUNKS, When.BEFORE_COMMIT),
    "sealed": Point("keeper", WRITE_CHUNKS, When.COMMITTED),
    "while proving a drop": Point("keeper", READ_ROWS, When.AFTER),
    "while dropping": Point("keeper", NOTE, When.BEFORE_COMMIT),
    "dropped": Point("keeper", NOTE, When.COMMITTED),
}
