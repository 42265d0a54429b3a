"""What the README prints is what works: its commands are read from it and run."""

import asyncio
import json
import os
import re
import shlex
import sys
from pathlib import Path

import httpx
import pytest

from tests.programs import find_program

README = Path(__file__).parents[2] / "README.md"
TRAILMATCH = ".venv/bin/trailmatch"


def _lines(start: str) -> list[str]:
    """Lines of the README's shell blocks that begin so, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith(start)]
    assert lines, start
    return [re.sub(r"\s+#.*", "", line) for line in lines]


async def _run(line: str, **environment: str) -> str:
    process = await asyncio.create_subprocess_shell(
        line, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    out, err = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0, err.decode()
    return out.decode()


async def _follow(line: str, start: str, **environment: str) -> str:
    """Run a command that does not end until it has printed a line that begins so."""
    process = await asyncio.create_subprocess_shell(
        f"exec {line}", stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(180):  # the matcher may have to be compiled first
            async for printed in process.stdout:
                if printed.decode().startswith(start):
                    return printed.decode().rstrip()
    finally:
        process.kill()
        await process.wait()
    raise AssertionError("it ended")


@pytest.fixture
def curl() -> None:
    find_program("curl")


@pytest.mark.usefixtures("curl")
async def test_the_commands_and_curl_lines_work_as_printed(live_service: httpx.AsyncClient, database_url: str) -> None:
    here = f"{shlex.quote(sys.executable)} -m app"
    commands = [line.replace(TRAILMATCH, here) for line in _lines(TRAILMATCH)]
    migrate = next(line for line in commands if "db migrate" in line)
    await _run(migrate, DATABASE_URL=database_url)
    keys = [await _run(line, DATABASE_URL=database_url) for line in commands if "key create" in line]
    tags, kent = (text.split()[0] for text in keys)

    address = f"localhost:{live_service.base_url.port}"
    posts = _lines("curl -H")
    gets = [line for line in posts if " -d " not in line] + _lines("curl -N")
    answers = [
        json.loads(
            await _run(
                "curl -sS --fail-with-body" + line.removeprefix("curl").replace("localhost:8000", address),
                TAGS=tags,
                KENT=kent,
            )
        )
        for line in posts
        if " -d " in line
    ]
    assert len(answers) == 3
    assert [answer.get("rejected", 0) for answer in answers] == [0, 0, 0]

    listing, stream = gets
    followed = await _follow(stream.replace("localhost:8000", address), "event: ", KENT=kent)
    assert followed == "event: alert.raised"
    (alert,) = json.loads(await _run(listing.replace("localhost:8000", address), KENT=kent))["alerts"]
    assert (alert["incident"]["reference"], alert["wearer"]["reference"]) == ("12/1234/26", "W-1")


def test_every_file_that_the_readme_leads_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if "://" not in link and not (README.parent / link).exists()] == []
