"""The API's devices."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.devices.reading import list_devices
from app.devices.schemas import DevicePage
from app.pages import After, Limit, link_next

router = APIRouter(prefix="/v1", tags=["devices"])

Reader = Annotated[Viewer, Depends(requires("devices:read"))]
Unassigned = Annotated[bool, Query(description="Only devices that nobody wears now.")]


@router.get("/devices")
async def get_devices(
    request: Request,
    response: Response,
    viewer: Reader,
    after: After = 0,
    limit: Limit = 100,
    unassigned: Unassigned = False,
) -> DevicePage:
    """Give your own devices, and who wears each now, a page at a time.

    A device is made by its first ping or its first fitting, whichever comes first.
    """
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        devices, last = await list_devices(connection, viewer, after, limit, unassigned=unassigned)
    return DevicePage(devices=devices, next=link_next(request, response, last, len(devices), limit))
