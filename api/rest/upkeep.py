"""Routes for the engineer who looks after the network: proofs of what switches hold, and drains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from carelane.api.auth import Role
from carelane.api.present import plain, verification_json
from carelane.api.rest.caller import Caller, caller, changer
from carelane.api.rest.change import audit_change
from carelane.api.rest.once import Keep, once
from carelane.controller._upkeep import DrainResult
from carelane.controller._whatif import Asked
from carelane.controller.reconcile.reoptimise import Aim, Reoptimised
from carelane.controller.service import IntentService
from carelane.store import StoredDrain, Writer
from carelane.units import parse_rate_bps, parse_ratio

__all__ = ["add_upkeep"]

Engineer = Annotated[Caller, caller(Role.ENGINEER)]
Draining = Annotated[Caller, changer(Role.ENGINEER)]
Aims = Annotated[
    Aim,
    Query(
        description="`shorter`: to a shorter way, or one with less reserved. `balance`: off the fullest links. "
        "`undo`: what the last time moved, back to where it was."
    ),
]
Gain = Annotated[
    str, Query(description="What a move of `balance` gains at least, as a share of a link.", max_length=20)
]
Target = Annotated[str, Path(description="Id of a link or a switch.", examples=["l3"])]


class WhatIf(BaseModel):
    """What would be different: what fails together, or is drained; new capacities of links; intents in addition.

    `failed` and `drained` take ids of links, nodes and risk groups alike, `link:ID`, `node:ID` or `group:ID` where an
    id names several.
    """

    model_config = ConfigDict(extra="forbid")

    links: list[str] = Field(default=[], max_length=1000, examples=[["l1"]])
    nodes: list[str] = Field(default=[], max_length=1000, examples=[[]])
    risk_groups: list[str] = Field(default=[], max_length=1000, examples=[[]])
    failed: list[str] = Field(default=[], max_length=1000, examples=[["node:city"]])
    drained: list[str] = Field(default=[], max_length=1000, examples=[[]])
    upgrades: dict[str, str] = Field(default={}, max_length=1000, examples=[{"l2": "10Gbps"}])
    added: list[str] = Field(
        default=[], max_length=100, examples=[["remote surgery county/or-1 -> province/console-3: 20 ms, 99.999%"]]
    )


def add_upkeep(app: FastAPI, service: IntentService) -> None:
    """Add the routes to `app`."""

    @app.get(
        "/v1/verification",
        tags=["network"],
        summary="Proof, on state read back, that promises hold",
        response_model=dict[str, Any],
    )
    def verification(_who: Engineer) -> JSONResponse:
        """Reads every switch. A fault names a packet, the way it takes, and what is assumed to be broken meanwhile."""
        return JSONResponse(verification_json(service.verify()))

    @app.post(
        "/v1/what-if",
        tags=["plans"],
        summary="What a failure or an upgrade would do to every promise; changes nothing",
        response_model=dict[str, Any],
    )
    def what_if(_who: Engineer, question: WhatIf) -> JSONResponse:
        """Each slice in force, with its promise before and after: kept, restored, weakened or broken."""
        named = (("link", question.links), ("node", question.nodes), ("group", question.risk_groups))
        failed = [*question.failed, *(f"{kind}:{name}" for kind, names in named for name in names)]
        upgrades = {link: parse_rate_bps(rate) for link, rate in question.upgrades.items()}
        return JSONResponse(plain(service.what_if(Asked(failed, question.drained, upgrades, question.added))))

    @app.get("/v1/drains", tags=["network"], summary="What is out of service", response_model=dict[str, Any])
    def drains(_who: Engineer) -> JSONResponse:
        """Links and switches that are out of service on purpose."""
        return JSONResponse({"drains": plain(service.drains())})

    @app.post(
        "/v1/drains/{target:path}",
        tags=["network"],
        summary="Take a link or switch out of service",
        response_model=dict[str, Any],
    )
    def drain(who: Draining, target: Target, force: bool = False) -> JSONResponse:
        """Moves what uses it without loss; 409 when slices would be left without a path, unless `force=true`."""
        after = {"out_of_service": True, "force": force}
        return _moving(service, who, ("drain.start", target, after), partial(service.drain, target, force=force))

    @app.delete(
        "/v1/drains/{target:path}",
        tags=["network"],
        summary="Put a link or switch back into service",
        response_model=dict[str, Any],
    )
    def undrain(who: Draining, target: Target) -> JSONResponse:
        """404 when it is not drained."""
        after = {"out_of_service": False}
        return _moving(service, who, ("drain.end", target, after), partial(service.undrain, target))

    @app.post(
        "/v1/reoptimise",
        tags=["network"],
        summary="Move slices to where the network now carries them better",
        response_model=dict[str, Any],
    )
    def reoptimise(who: Draining, aim: Aims = "shorter", gain: Gain = "10%", dry_run: bool = False) -> JSONResponse:
        """Without loss, and each with its promise whole. Names those that move and why, or with `dry_run=true` those
        that would (nothing is changed then), and how full the fullest link is, before and after."""
        share = parse_ratio(gain)

        def answer(found: Reoptimised) -> dict[str, Any]:
            fullness = {"before": round(found.fullest_before, 4), "after": round(found.fullest_after, 4)}
            return {"moved": list(found.moved), "why": dict(found.moved), "fullest": fullness, "dry_run": dry_run}

        if dry_run:
            return JSONResponse(answer(service.reoptimise(aim, gain=share, dry_run=True)))

        def change(keep: Keep) -> JSONResponse:
            def also(write: Writer, found: Reoptimised) -> None:
                audit_change(write, who, None, "network.reoptimise", "network", None, {"aim": aim, **answer(found)})
                keep(write, 200, answer(found))

            return JSONResponse(answer(service.reoptimise(aim, gain=share, also=also)))

        return once(service.store, who, b"", change)


def _moving(
    service: IntentService, who: Caller, entry: tuple[str, str, dict[str, Any]], move: Callable[..., DrainResult]
) -> JSONResponse:
    """Carry `move` out once for an Idempotency-Key, on the record; `entry` is action, target and what is so after."""
    action, target, after = entry

    def change(keep: Keep) -> JSONResponse:
        def also(write: Writer, result: DrainResult, before: StoredDrain | None) -> None:
            audit_change(write, who, None, action, target, _standing(before), {**after, **plain(result)})
            keep(write, 200, plain(result))

        return JSONResponse(plain(move(also=also)))

    return once(service.store, who, b"", change)


def _standing(drain: StoredDrain | None) -> dict[str, Any]:
    """What the audit shows of a link or switch before it is drained, or put back."""
    since = {} if drain is None else {"since": drain.since.isoformat()}
    return {"out_of_service": drain is not None, **since}
