"""The API's matching."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["matching"])
