from __future__ import annotations
from typing import Any
def decision_json(d) -> dict[str, Any]:
    return {"name":d.name,"decision":"admitted" if d.admitted else "refused","paths":[{"to":p.to,"nodes":list(p.nodes)} for p in d.paths],"reasons":[{"constraint":r.constraint} for r in d.reasons],"offers":[{"bandwidth_mbps":o.bandwidth_bps/1e6} for o in d.offers]}
def plan_json(t,result) -> dict[str, Any]:
    return {"decisions":[decision_json(d) for d in result.decisions]}
