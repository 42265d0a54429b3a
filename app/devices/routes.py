"""The API's devices."""

from fastapi import APIRouter

router = APIRouter(prefix="/v1", tags=["devices"])
