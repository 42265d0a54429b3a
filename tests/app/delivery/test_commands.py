"""The commands as they are run: a process, its output and its exit code."""

import asyncio
import json
import os
import sys

from standardwebhooks.webhooks import Webhook

from app.access.organisations import find_or_create_organisation
from app.db import Connection
from tests.app.delivery.receivers import answer, receiving


async def _trailmatch(database_url: str, *arguments: str) -> tuple[int, str, str]:
    environment = {
        "DATABASE_URL": database_url,
        "TRAILMATCH_SIGNING_KEY": "the signing key of these tests..",
        "TRAILMATCH_WEBHOOK_NETWORKS": "127.0.0.0/8, fd00::/8",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_an_operator_makes_tries_lists_and_renews_an_endpoint(database_url: str, connection: Connection) -> None:
    await find_or_create_organisation(connection, "Kent", "force", None)
    kent = ("--organisation", "Kent")
    async with receiving() as receiver:
        code, out, err = await _trailmatch(database_url, "endpoint", "create", *kent, receiver.url(), "--json")
        assert code == 0, err
        made = json.loads(out)
        endpoint_id = str(made["endpoint_id"])
        code, out, _ = await _trailmatch(database_url, "endpoint", "test", *kent, endpoint_id)
        assert (code, out.startswith("acknowledged (status 204), ")) == (0, True)
        Webhook(made["secret"]).verify(receiver.requests[0].body, receiver.requests[0].headers)
        receiver.behave = answer(500)
        code, out, _ = await _trailmatch(database_url, "endpoint", "test", *kent, endpoint_id, "--json")
        assert (code, json.loads(out)["last_error"]) == (1, "refused")
    code, out, _ = await _trailmatch(database_url, "endpoint", "rotate", *kent, endpoint_id)
    assert out.splitlines()[0] == f"endpoint {endpoint_id}"
    assert out.splitlines()[1] not in {made["secret"], ""}
    code, out, _ = await _trailmatch(database_url, "endpoint", "list", *kent)
    assert out == f"{endpoint_id}  well  0 waiting  {receiver.url()}\n"
    assert await _trailmatch(database_url, "delivery", "list", *kent) == (0, "\n", "")
    code, _, err = await _trailmatch(database_url, "delivery", "retry", *kent, "99")
    assert (code, err) == (1, "trailmatch: Your organisation has no delivery with this id.\n")
    code, _, err = await _trailmatch(database_url, "endpoint", "create", *kent, "https://10.0.0.1/")
    assert (code, "not a public one" in err) == (1, True)
    code, _, err = await _trailmatch(database_url, "endpoint", "list", "--organisation", "Nowhere")
    assert (code, err) == (1, "trailmatch: there is no organisation 'Nowhere'\n")
