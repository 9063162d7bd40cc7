"""What the services do. Handlers run on the server's threads; a watch holds one for as long as it lasts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import grpc

from carelane.api.auth import Authenticator, Role
from carelane.api.grpc import answers
from carelane.api.grpc.door import caller_of
from carelane.api.grpc.gen import carelane_pb2 as pb
from carelane.api.grpc.places import Places
from carelane.api.present import seen_by
from carelane.api.rest.bodies import Body, parse_intents
from carelane.api.rest.caller import Caller
from carelane.api.rest.change import accepted_offer, etag, patched
from carelane.api.rest.intents import claimed, filed, refiled, withdrawn
from carelane.api.rest.views import Views
from carelane.controller.service import IntentService
from carelane.documents import MAX_BYTES
from carelane.errors import InputError
from carelane.intents import ServiceIntent

__all__ = ["Calls"]

POLL_S = 0.25
RECHECK_S = 15.0
MAX_PAGE = 1000
Context = Any
Answer = TypeVar("Answer", pb.WatchConditionsResponse, pb.WatchComplianceResponse, pb.WatchSitesResponse)


class Calls:
    """All services; `ends` is set when the server stops, which ends every watch. `places` bounds them."""

    def __init__(self, service: IntentService, authenticator: Authenticator, views: Views, places: Places) -> None:
        self._service, self._authenticator, self._views, self._places = service, authenticator, views, places
        self.ends = threading.Event()

    def file_intents(self, request: pb.FileIntentsRequest, context: Context) -> pb.FileIntentsResponse:
        who = self._caller(context, Role.HOSPITAL_IT, "FileIntents", request.idempotency_key)
        source = request.source.SerializeToString(deterministic=True)
        answer = filed(self._service, who, self._intents(request.source, who), source, preempt=request.preempt)
        return pb.FileIntentsResponse(intents=map(answers.applied, json.loads(bytes(answer.body))["intents"]))

    def plan_intents(self, request: pb.PlanIntentsRequest, context: Context) -> pb.PlanIntentsResponse:
        who = self._caller(context, Role.VIEWER, "PlanIntents")
        intents = self._intents(request.source, who)
        plan = self._service.plan(intents, optimize=request.optimize, preempt=request.preempt)
        return pb.PlanIntentsResponse(plan=answers.struct(seen_by(who.tenant, plan)))

    def get_intent(self, request: pb.GetIntentRequest, context: Context) -> pb.GetIntentResponse:
        who = self._caller(context, Role.VIEWER, "GetIntent")
        detail = self._service.describe(request.name, tenant=who.tenant)
        return pb.GetIntentResponse(
            summary=answers.summary(detail.summary),
            manifest=answers.struct(detail.manifest),
            decision=answers.struct(seen_by(who.tenant, detail.decision)),
            conditions=map(answers.condition, detail.conditions),
        )

    def list_intents(self, request: pb.ListIntentsRequest, context: Context) -> pb.ListIntentsResponse:
        who = self._caller(context, Role.VIEWER, "ListIntents")
        size = request.page_size or MAX_PAGE
        if not 1 <= size <= MAX_PAGE:
            raise InputError("not a page size", field="page_size", expected=f"1 to {MAX_PAGE}")
        if who.tenant is not None and request.tenant not in ("", who.tenant):
            return pb.ListIntentsResponse()
        rows = self._service.list(
            tenant=who.tenant or request.tenant or None,
            withdrawn=request.withdrawn,
            after=request.page_token or None,
            limit=size + 1,
        )
        more = rows[size - 1].name if len(rows) > size else ""
        return pb.ListIntentsResponse(intents=map(answers.summary, rows[:size]), next_page_token=more)

    def patch_intent(self, request: pb.PatchIntentRequest, context: Context) -> pb.PatchIntentResponse:
        who = self._changer(context, request, "PatchIntent")
        body = Body("application/merge-patch+json", request.merge_patch.encode())
        if len(body.data) > MAX_BYTES:
            raise InputError("too large", field="merge_patch", expected=f"at most {MAX_BYTES} bytes")
        topology = self._views.topology(who.principal)
        made = refiled(self._service, who, request.name, body.data, lambda now: patched(topology, now, body, who))
        return pb.PatchIntentResponse(intent=answers.applied(json.loads(bytes(made.body))))

    def accept_offer(self, request: pb.AcceptOfferRequest, context: Context) -> pb.AcceptOfferResponse:
        who = self._changer(context, request, f"AcceptOffer {request.offer}")
        if request.offer < 0:
            raise InputError("not an offer", field="offer", expected="a number from 0")
        made = refiled(self._service, who, request.name, b"", lambda now: accepted_offer(now, request.offer, who))
        return pb.AcceptOfferResponse(intent=answers.applied(json.loads(bytes(made.body))))

    def withdraw_intent(self, request: pb.WithdrawIntentRequest, context: Context) -> pb.WithdrawIntentResponse:
        who = self._changer(context, request, "WithdrawIntent")
        withdrawn(self._service, who, request.name)
        detail = self._service.describe(request.name, tenant=who.tenant)
        return pb.WithdrawIntentResponse(summary=answers.summary(detail.summary))

    def watch_intents(self, request: pb.WatchIntentsRequest, context: Context) -> Iterator[pb.WatchIntentsResponse]:
        who = self._caller(context, Role.VIEWER, "WatchIntents")
        with self._service.store.read() as read:
            after = read.last_event()
        if request.HasField("after"):
            after = min(after, request.after)  # a later number is of a store that was since restored from a backup
        for _ in self._turns(who, context):
            with self._service.store.read() as read:
                found = read.events(after=after, tenant=who.tenant)
            for event in found:
                yield answers.step(event)
                after = event.id

    def watch_conditions(
        self, request: pb.WatchConditionsRequest, context: Context
    ) -> Iterator[pb.WatchConditionsResponse]:
        who = self._caller(context, Role.VIEWER, "WatchConditions")

        seen: dict[str, int] = {}

        def now() -> Iterator[pb.WatchConditionsResponse]:
            marks = self._marks(request.names, who)
            for name in (name for name, mark in marks.items() if seen.get(name) != mark):
                detail = self._service.describe(name, tenant=who.tenant)
                seen[name] = marks[name]
                yield pb.WatchConditionsResponse(
                    name=name, phase=detail.summary.phase, conditions=map(answers.condition, detail.conditions)
                )

        yield from self._changes(now, who, context)

    def get_compliance(self, request: pb.GetComplianceRequest, context: Context) -> pb.GetComplianceResponse:
        who = self._caller(context, Role.VIEWER, "GetCompliance")
        self._service.describe(request.name, tenant=who.tenant)
        found = answers.compliance(request.name, self._service.compliance(request.name))
        return pb.GetComplianceResponse(compliance=found)

    def watch_compliance(
        self, request: pb.WatchComplianceRequest, context: Context
    ) -> Iterator[pb.WatchComplianceResponse]:
        who = self._caller(context, Role.VIEWER, "WatchCompliance")

        def now() -> Iterator[pb.WatchComplianceResponse]:
            for name in self._marks(request.names, who):
                found = answers.compliance(name, self._service.compliance(name))
                yield pb.WatchComplianceResponse(compliance=found)

        yield from self._changes(now, who, context)

    def watch_sites(self, request: pb.WatchSitesRequest, context: Context) -> Iterator[pb.WatchSitesResponse]:
        who = self._caller(context, Role.VIEWER, "WatchSites")

        def now() -> Iterator[pb.WatchSitesResponse]:
            wanted = self._marks(request.names, who)
            slices: dict[str, list[pb.SiteTraffic]] = {}
            for item in self._service.sources():
                # what was measured last may still be of another tenant's slice of that name, now gone
                if item.tap.slice in wanted and who.tenant in (None, item.tap.tenant):
                    slices.setdefault(item.tap.slice, []).append(answers.site(item))
            for name, sites in slices.items():
                yield pb.WatchSitesResponse(name=name, sites=sites)

        yield from self._changes(now, who, context)

    def _intents(self, source: pb.IntentSource, who: Caller) -> list[ServiceIntent]:
        kind = source.WhichOneof("source")
        if kind == "manifests":
            body = Body("application/yaml", source.manifests.encode())
        elif kind == "line":
            line = source.line
            value = {"line": line.line, "from": list(getattr(line, "from")), "to": list(line.to)}
            value |= {key: text for key in ("name", "tenant") if (text := getattr(line, key))}
            body = Body("application/json", json.dumps(value).encode())
        else:
            raise InputError("no intents", field="source", expected="manifests or a line")
        return claimed(parse_intents(body, self._views.topology(who.principal)), who.principal)

    def _caller(self, context: Context, role: Role, call: str, key: str = "") -> Caller:
        return caller_of(self._authenticator, context, role, call, key)

    def _changer(self, context: Context, request: Any, call: str) -> Caller:
        """Who changes the intent that `request` names, and the generation that they mean."""
        who = self._caller(context, Role.HOSPITAL_IT, f"{call} {request.name}", request.idempotency_key)
        return replace(who, if_match=etag(request.if_generation)) if request.if_generation else who

    def _marks(self, names: Collection[str], who: Caller) -> Mapping[str, int]:
        """Of those asked for, or of all that the caller may see, what changes with each. Raises NotFoundError."""
        with self._service.store.read() as read:
            return read.marks(names, tenant=who.tenant)

    def _changes(self, now: Callable[[], Iterator[Answer]], who: Caller, context: Context) -> Iterator[Answer]:
        """What `now` gives, each the first time and whenever it differs from the last of the same name."""
        told: dict[str, Answer] = {}
        for _ in self._turns(who, context):
            for answer in now():
                name = answer.compliance.name if isinstance(answer, pb.WatchComplianceResponse) else answer.name
                if told.get(name) != answer:
                    told[name] = answer
                    yield answer

    def _turns(self, who: Caller, context: Context) -> Iterator[None]:
        """One turn at once and then regularly, until the caller goes, the server stops or the credential ends."""
        with self._places.taken(who.principal.subject):
            checked = time.monotonic()
            while context.is_active():
                yield None
                if self.ends.wait(POLL_S):
                    context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
                if who.again is not None and time.monotonic() - checked > RECHECK_S:
                    who.again()
                    checked = time.monotonic()
