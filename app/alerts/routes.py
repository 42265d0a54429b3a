"""The API's alerts."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["alerts"])
