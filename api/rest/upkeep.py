"""Routes for the engineer who looks after the network: proofs of what switches hold."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from carelane.api.present import verification_json
from carelane.controller.service import IntentService

__all__ = ["add_upkeep"]


def add_upkeep(app: FastAPI, service: IntentService) -> None:
    """Add the routes to `app`."""

    @app.get("/v1/verification", tags=["network"], summary="Proof, on state read back, that promises hold")
    def verification() -> JSONResponse:
        """Reads every switch. A fault names a packet, the way it takes, and what is assumed to be broken meanwhile."""
        return JSONResponse(verification_json(service.verify()))
