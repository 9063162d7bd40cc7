"""Principals and roles. Roles are ordered: each may do what those before it may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from carelane.errors import ForbiddenError, InputError
from carelane.topology.model import Endpoint, Topology

__all__ = ["Principal", "Role", "check_binding", "visible"]


class Role(StrEnum):
    """What somebody does for a living."""

    VIEWER = "viewer"
    HOSPITAL_IT = "hospital-it"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do what `other` may."""
        return _RANK[self] >= _RANK[other]


_RANK: Mapping[Role, int] = MappingProxyType({role: rank for rank, role in enumerate(Role)})


def check_binding(role: Role, tenant: str | None) -> None:
    """Hospital IT belongs to a hospital, the operator's own people to none. Raises InputError."""
    if role is Role.HOSPITAL_IT and tenant is None:
        raise InputError("hospital-it acts for a tenant", field="tenant", expected="the tenant it is bound to")
    if role in (Role.ENGINEER, Role.ADMIN) and tenant is not None:
        raise InputError(f"{role} works for all tenants", field="tenant", expected="none", remedy="leave it out")


@dataclass(frozen=True, slots=True)
class Principal:
    """The one who asks. `tenant` None: not bound to one. `scopes` None: not limited by scopes (API keys).
    `device` is the address of the one device that a three-legged token speaks for (CAMARA).
    """

    subject: str
    kind: Literal["api-key", "oidc"]
    role: Role
    tenant: str | None = None
    scopes: frozenset[str] | None = None
    device: str | None = None

    def require(self, role: Role, *, unbound: bool = False) -> None:
        """Raises ForbiddenError unless the role is covered, and with `unbound` when bound to a tenant."""
        if not self.role.covers(role):
            raise ForbiddenError(f"this needs the role {role}; yours is {self.role}")
        if unbound and self.tenant is not None:
            raise ForbiddenError("this shows or changes the whole network; you are bound to a tenant")

    def require_scope(self, scope: str) -> None:
        """Raises ForbiddenError when the token has scopes and this is none of them."""
        if self.scopes is not None and scope not in self.scopes:
            raise ForbiddenError(f"the token lacks the scope {scope}")

    def acts_for(self, tenant: str) -> None:
        """Raises ForbiddenError when bound to another tenant."""
        if self.tenant is not None and self.tenant != tenant:
            raise ForbiddenError(f"you act for tenant {self.tenant!r} only")


def visible(topology: Topology, tenant: str, knows: Callable[[str, Endpoint], bool]) -> Topology:
    """The topology as `tenant` knows it: with the endpoints that `knows` says it may know."""
    ends = {end.id: end for end in topology.endpoints.values() if knows(tenant, end)}
    return replace(topology, endpoints=MappingProxyType(ends))
