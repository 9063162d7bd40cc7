"""Who is asking, and what they may do. Nothing here knows a web framework, so REST, CAMARA and gRPC share it."""

from __future__ import annotations

from carelane.api.auth.authenticator import Authenticator
from carelane.api.auth.keys import KeyRing
from carelane.api.auth.principals import Principal, Role
from carelane.api.auth.rates import Buckets
from carelane.api.auth.tokens import TokenRules, TokenVerifier

__all__ = ["Authenticator", "Buckets", "KeyRing", "Principal", "Role", "TokenRules", "TokenVerifier"]
