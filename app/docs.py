"""The API's description, and the page that shows it: made of our own files, so that it works without the internet."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response

from app.access.keys import ANY_SCOPE, requires
from app.access.viewer import Viewer
from app.errors import NotFound

router = APIRouter(include_in_schema=False)

# Any valid key: a browser asks for one by Basic authentication, with the key as password.
AnyKey = Annotated[Viewer, Depends(requires(None))]

_STATIC = Path(__file__).parent / "console" / "static"
# Served by name from here and nowhere else, so that no address can reach another file.
ASSETS = {
    "docs.css": (_STATIC / "docs.css", "text/css"),
    "docs.js": (_STATIC / "docs.js", "text/javascript"),
    "swagger-ui-bundle.js": (_STATIC / "vendor" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (_STATIC / "vendor" / "swagger-ui.css", "text/css"),
}

# Styles and scripts from our files only. Neither needs 'unsafe-inline': swagger-ui sets its styles through the DOM,
# which the policy does not touch, and adds no style element. Its icons are data: addresses in its CSS.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# A browser keeps these for a year; another content has another address.
_KEPT = "private, max-age=31536000, immutable"
_ASKED_EACH_TIME = "private, no-cache"

# Addresses are relative, so that the page also works behind a proxy that adds a path.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>TrailMatch API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{swagger-ui.css}">
<link rel="stylesheet" href="{docs.css}">
</head>
<body>
<noscript>This page needs JavaScript; <a href="openapi.json">openapi.json</a> says the same.</noscript>
<div id="api"></div>
<script src="{swagger-ui-bundle.js}"></script>
<script src="{docs.js}"></script>
</body>
</html>
"""

_UNBUILT_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>TrailMatch API</title><link rel="icon" href="data:,"></head>
<body>
<h1>TrailMatch API</h1>
<p>This page's libraries are not built here. Run <code>make assets</code>, which needs Node.js 20 with npm, and
load the page again.</p>
<p>The description itself is at <a href="openapi.json">openapi.json</a>.</p>
</body>
</html>
"""


@router.get("/docs")
async def docs_page(_viewer: AnyKey) -> HTMLResponse:
    """Show the API's description, with forms to try it."""
    is_built = all(path.exists() for path, _ in ASSETS.values())
    headers = {"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
    return HTMLResponse(_page() if is_built else _UNBUILT_PAGE, headers=headers)


def _page() -> str:
    page = _PAGE
    for name, (path, _) in ASSETS.items():
        page = page.replace(f"{{{name}}}", f"docs/assets/{name}?v={_version(path, path.stat().st_mtime_ns)}")
    return page


@lru_cache(maxsize=8)
def _version(path: Path, _modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@router.get("/docs/assets/{name}")
async def docs_asset(name: str, _viewer: AnyKey, v: str = "") -> Response:
    """Give one of the page's files. Raises NotFound for any other name, and for a file that is not built."""
    path, media_type = ASSETS.get(name, (None, None))
    if path is None or not path.exists():
        raise NotFound("The documentation page has no such file.")
    is_this = v == _version(path, path.stat().st_mtime_ns)
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": _KEPT if is_this else _ASKED_EACH_TIME})


@router.get("/openapi.json")
async def openapi_document(request: Request, _viewer: AnyKey) -> JSONResponse:
    """Describe the API as OpenAPI 3.1."""
    return JSONResponse(describe(request.app))


def describe(app: FastAPI) -> dict[str, Any]:
    """Describe every endpoint: what FastAPI knows, and with it keys, scopes and problem documents. Made once."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        _add_summaries(schema)
        _add_problems(schema)
        _add_keys(schema)
        app.openapi_schema = schema
    return app.openapi_schema


PROBLEM = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457), and in many-row bodies where.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/RowError"}},
    },
    "example": {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "detail": "There is no such incident, or this key may not see it.",
    },
}
ROW_ERROR = {
    "title": "RowError",
    "description": "What is wrong with one row of a body, where, and what to do about it.",
    "type": "object",
    "required": ["pointer", "code", "message"],
    "properties": {
        "line": {"type": "integer", "description": "the row in the body, from 1"},
        "pointer": {"type": "string", "description": "the field in the row, as a JSON pointer"},
        "code": {"type": "string"},
        "message": {"type": "string"},
        "required_action": {"type": ["string", "null"]},
    },
}


def _add_summaries(schema: dict[str, Any]) -> None:
    """Head each endpoint by the first sentence of its description, in place of the function's name."""
    for path in schema["paths"].values():
        for operation in path.values():
            first = operation["description"].partition("\n\n")[0].replace("\n", " ")
            operation["summary"] = re.split(r"[.:;](?:\s|$)", first, maxsplit=1)[0]


def _add_problems(schema: dict[str, Any]) -> None:
    """Say that every error is a problem document, in place of the validation errors that FastAPI assumes."""
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for assumed in ("HTTPValidationError", "ValidationError"):
        schemas.pop(assumed, None)
    schemas |= {"Problem": PROBLEM, "RowError": ROW_ERROR}
    answer = {
        "description": "A problem document",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for path in schema["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = answer


def _add_keys(schema: dict[str, Any]) -> None:
    """Say which endpoints need a key, and with which scope: FastAPI takes each scope for a scheme of its own."""
    schemes = schema["components"]["securitySchemes"]
    schema["components"]["securitySchemes"] = {"key": schemes[ANY_SCOPE]}
    for path in schema["paths"].values():
        for operation in path.values():
            if scopes := [scope for scheme in operation.get("security", []) for scope in scheme]:
                needed = [scope for scope in scopes if scope != ANY_SCOPE]
                operation["security"] = [{"key": needed}]
                words = f"Needs a key with the scope `{needed[0]}`." if needed else "Needs a key, of any scope."
                operation["description"] = f"{operation['description']}\n\n{words}"
