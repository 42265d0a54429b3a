"""How often a wearer is there anyway, for any match: weighed when it is asked for, and not kept.

The matcher reads the days before only of those who were present, because it is much to read. Of the
others somebody may still want to know.
"""

import asyncio
from uuid import UUID

from app.access.viewer import Viewer
from app.audit.store import record
from app.db import Connection
from app.errors import NotFound
from app.matching.chance_schemas import MatchChance
from app.matching.context import Case, Pair, read_cases, read_contexts, read_histories
from app.matching.schemas import IncidentName, ProfileName, WearerName
from matcher.context import Context
from matcher.evidence import ordinary_json
from matcher.profile import PRESENCE
from matcher.sentence import ordinary_sentences
from matcher.weigh import chance_of

# The same viewers as of the match itself (app.matching.routes.SELECT).
FIND = """
SELECT m.incident_id, m.wearer_id
FROM match m JOIN incident i USING (incident_id) JOIN wearer w USING (wearer_id)
WHERE m.is_live AND m.match_id = $2 AND (i.force_id = $1 OR w.force_id = $1 OR w.probation_id = $1)
"""


async def weigh_chance(connection: Connection, viewer: Viewer, match_id: UUID) -> MatchChance:
    """Weigh a live match against its wearer's ordinary days, by the incident's latest version.

    Call it in a REPEATABLE READ transaction. Cost: a read of the window on up to 90 days, and its weighing: some tens
    of milliseconds for a crime of an hour.

    Raises NotFound if there is no such match, or the viewer may not see it.
    """
    row = await connection.fetchrow(FIND, viewer.organisation_id, match_id)
    if row is None:
        raise NotFound("There is no match with this id, or this key may not see it.")
    (case,) = await read_cases(connection, [Pair(row["incident_id"], row["wearer_id"])])
    if case.is_withdrawn:
        raise NotFound("The incident of this match has been withdrawn.")
    (context,) = await read_contexts(connection, [case])
    if case.profile.profile.rule == PRESENCE:
        (history,) = await read_histories(connection, [case])
        context = context._replace(history=history)
    await record(connection, viewer, "matches.chance", str(match_id), [row["wearer_id"]])
    return await asyncio.to_thread(_weighed, match_id, case, context)


def _weighed(match_id: UUID, case: Case, context: Context) -> MatchChance:
    history, chance = chance_of(context, case.incident, case.profile.profile)
    return MatchChance(
        match_id=match_id,
        incident=IncidentName(
            incident_id=case.pair.incident_id,
            force=case.force,
            reference=case.incident_reference,
            version=case.version,
        ),
        wearer=WearerName(wearer_id=case.pair.wearer_id, reference=case.wearer_reference),
        profile=ProfileName(
            name=case.profile.profile.name, version=case.profile.version, sha256=case.profile.profile.sha256().hex()
        ),
        history=history,
        chance=None if chance is None else ordinary_json(chance),
        said=ordinary_sentences(history, chance),
    )
