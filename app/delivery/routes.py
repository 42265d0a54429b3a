"""Endpoints, deliveries, notices and what people ask for, over HTTP."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from app.access.keys import requires
from app.access.viewer import Viewer
from app.delivery.endpoints import (
    create_endpoint,
    delete_endpoint,
    find_endpoint,
    list_endpoints,
    patch_endpoint,
    rotate_secret,
)
from app.delivery.log import Filter, State, find_delivery, list_deliveries, retry
from app.delivery.notices import list_notices
from app.delivery.outside import Outside
from app.delivery.preference_schemas import Preference, RoutingRule
from app.delivery.preferences import find_preference, find_rule, put_preference, put_rule
from app.delivery.schemas import (
    CreatedEndpoint,
    DeliveryPage,
    Endpoint,
    EndpointPage,
    EndpointSecret,
    LoggedDelivery,
    NoticeList,
    PatchedEndpoint,
    PostedEndpoint,
    RotatedSecret,
)
from app.delivery.trial import send_test
from app.pages import After, Limit, link_next
from app.rows import read_record, record_body_of
from app.wake import send_hint

router = APIRouter(prefix="/v1", tags=["delivery"])

Admin = Annotated[Viewer, Depends(requires("admin"))]
Reader = Annotated[Viewer, Depends(requires("alerts:read"))]
Number = Annotated[int, Path(ge=1, lt=2**63)]
Wanted = Annotated[int | None, Query(ge=1, lt=2**63)]


def _outside(request: Request) -> Outside:
    outside: Outside = request.app.state.outside
    return outside


@router.post("/endpoints", status_code=201, openapi_extra=record_body_of(PostedEndpoint))
async def post_endpoint(request: Request, viewer: Admin) -> CreatedEndpoint:
    """Have your organisation's alerts told to an address: a webhook for each event from now on.

    Bodies are CloudEvents 1.0 in JSON, with ids and where to read the alert; headers are those of Standard Webhooks. A
    status from 200 to 299 acknowledges. Anything else is tried again after 5 s, 30 s, 2 min, 10 min, 30 min and then
    every hour, for as long as it takes; 410 disables the endpoint. An alert's events come in order, each at least once,
    with the same `webhook-id` in every attempt. The secret is in this answer and is not shown again.
    """
    posted = await read_record(request, PostedEndpoint)
    outside = _outside(request)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        made = await create_endpoint(connection, viewer, posted, outside.signing_key, outside.allowed)
    return CreatedEndpoint(**made.endpoint.model_dump(), secret=made.secret)


@router.get("/endpoints")
async def get_endpoints(
    request: Request, response: Response, viewer: Admin, after: After = 0, limit: Limit = 100
) -> EndpointPage:
    """Give your organisation's endpoints and how they do, a page at a time."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        endpoints = await list_endpoints(connection, viewer, after, limit)
    last = endpoints[-1].endpoint_id if endpoints else after
    return EndpointPage(endpoints=endpoints, next=link_next(request, response, last, len(endpoints), limit))


@router.get("/endpoints/{endpoint_id}")
async def get_endpoint(request: Request, viewer: Admin, endpoint_id: Number) -> Endpoint:
    """Give one endpoint and how it does."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_endpoint(connection, viewer, endpoint_id)


@router.patch("/endpoints/{endpoint_id}", openapi_extra=record_body_of(PatchedEndpoint))
async def patch(request: Request, viewer: Admin, endpoint_id: Number) -> Endpoint:
    """Change an endpoint, disable it, or enable it again; what waits goes out as soon as it is enabled."""
    patched = await read_record(request, PatchedEndpoint)
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            endpoint = await patch_endpoint(connection, viewer, endpoint_id, patched, _outside(request).allowed)
        await send_hint(connection, "delivery")
    return endpoint


@router.delete("/endpoints/{endpoint_id}", status_code=204)
async def delete(request: Request, viewer: Admin, endpoint_id: Number) -> None:
    """Send nothing to an endpoint any more, what waits included; the log of its deliveries stays."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await delete_endpoint(connection, viewer, endpoint_id)


@router.post("/endpoints/{endpoint_id}/secret", openapi_extra=record_body_of(RotatedSecret))
async def post_secret(request: Request, viewer: Admin, endpoint_id: Number) -> EndpointSecret:
    """Replace an endpoint's secret; the one before signs beside it for the time that you ask for."""
    rotated = await read_record(request, RotatedSecret)
    outside = _outside(request)
    until = outside.clock() + timedelta(hours=rotated.overlap_hours)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        secret = await rotate_secret(connection, viewer, endpoint_id, outside.signing_key, until)
    return EndpointSecret(secret=secret, previous_until=until)


@router.post("/endpoints/{endpoint_id}/test")
async def post_test(request: Request, viewer: Admin, endpoint_id: Number) -> LoggedDelivery:
    """Send a test to an endpoint, once and now, and tell what came of it."""
    return await send_test(request.app.state.pool, viewer, endpoint_id, _outside(request))


@router.get("/deliveries")
async def get_deliveries(
    request: Request,
    response: Response,
    viewer: Admin,
    endpoint_id: Wanted = None,
    account_id: Wanted = None,
    alert_id: UUID | None = None,
    state: State | None = None,
    after: After = 0,
    limit: Limit = 100,
) -> DeliveryPage:
    """Give what was sent, or waits to be, to your organisation's endpoints and people, a page at a time."""
    wanted = Filter(endpoint_id, account_id, alert_id, state)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        deliveries = await list_deliveries(connection, viewer, after, limit, wanted)
    last = deliveries[-1].delivery_id if deliveries else after
    return DeliveryPage(deliveries=deliveries, next=link_next(request, response, last, len(deliveries), limit))


@router.get("/deliveries/{delivery_id}")
async def get_delivery(request: Request, viewer: Admin, delivery_id: Number) -> LoggedDelivery:
    """Give one delivery with the log of its attempts."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_delivery(connection, viewer, delivery_id)


@router.post("/deliveries/{delivery_id}/retry")
async def post_retry(request: Request, viewer: Admin, delivery_id: Number) -> LoggedDelivery:
    """Send a delivery again now, with the id that it has, be it acknowledged before or not."""
    async with request.app.state.pool.acquire() as connection:
        async with connection.transaction():
            delivery = await retry(connection, viewer, delivery_id, _outside(request).clock())
        await send_hint(connection, "delivery")
    return delivery


@router.get("/alerts/{alert_id}/notices")
async def get_notices(request: Request, viewer: Reader, alert_id: UUID) -> NoticeList:
    """Give who was told of an alert, as what, and when."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return NoticeList(notices=await list_notices(connection, viewer, alert_id))


@router.get("/accounts/{account_id}/preference")
async def get_preference(request: Request, viewer: Admin, account_id: Number) -> Preference:
    """Give when a person of your organisation wants to be told of alerts."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_preference(connection, viewer, account_id)


@router.put("/accounts/{account_id}/preference", openapi_extra=record_body_of(Preference))
async def put_account_preference(request: Request, viewer: Admin, account_id: Number) -> Preference:
    """Say when a person wants to be told: quiet hours, digests, and whether what is urgent waits for them."""
    put = await read_record(request, Preference)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await put_preference(connection, viewer, account_id, put, _outside(request).clock())
    return put


@router.get("/routing-rule")
async def get_rule(request: Request, viewer: Admin) -> RoutingRule:
    """Give how long your force's alerts may lie unseen, and which of its incidents are urgent."""
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        return await find_rule(connection, viewer)


@router.put("/routing-rule", openapi_extra=record_body_of(RoutingRule))
async def put_routing_rule(request: Request, viewer: Admin) -> RoutingRule:
    """Say how long your force's alerts may lie unseen before they are escalated, and which incidents are urgent."""
    put = await read_record(request, RoutingRule)
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await put_rule(connection, viewer, put)
    return put
