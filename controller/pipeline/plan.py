from __future__ import annotations
import networkx as nx
from types import MappingProxyType
from carelane.controller.pipeline.slice_plan import *
from carelane.controller.pipeline.requirement import Requirement
from carelane.topology.ledger import CapacityLedger
from carelane.topology.model import Topology, Hop
from collections.abc import Sequence
def plan(topology: Topology, requirements: Sequence[Requirement], ledger: CapacityLedger = CapacityLedger(), *, optimize: bool = False) -> PlanResult:
    ds=[]; off=adm=0
    for r in requirements:
        g=nx.Graph()
        g.add_nodes_from(topology.nodes)
        need=max(r.forward_bps,r.reverse_bps)
        for l in topology.links.values():
            free=min(l.capacity_bps-ledger.reserved_bps((n,l.id)) for n in (l.a,l.b))
            if free>=need: g.add_edge(l.a,l.b,key=l.id)
        paths=[];floors={}
        ok=True
        for p in r.pairs:
            try: ns=nx.shortest_path(g,p.source.node,p.destination.node)
            except nx.NetworkXNoPath: ok=False;break
            hops=tuple(Hop(g[a][b]["key"],a,b) for a,b in zip(ns,ns[1:]))
            for h in hops:
                floors[(h.node,h.link)]=r.forward_bps; floors[(h.next_node,h.link)]=r.reverse_bps
            floors[(p.destination.node,p.destination.id)]=r.forward_bps
            floors[(p.source.node,p.source.id)]=r.reverse_bps
            paths.append(PlannedPath("primary",p.source.id,p.destination.id,tuple(ns),hops,r.forward_bps,r.reverse_bps,0.001,0.0005,0.0005))
        off+=r.forward_bps
        if ok:
            adm+=r.forward_bps
            floors={k:v for k,v in floors.items() if v}
            ledger=ledger.with_slice(r.name,floors.items())
            ds.append(Decision(r,True,tuple(paths)))
        else: ds.append(Decision(r,False,reasons=(Reason("bandwidth",None,need/1e6,0.0,"Mbit/s"),),offers=(Offer("bandwidth",None,None,None,1000000),)))
    return PlanResult(tuple(ds),ledger,Totals(off,adm,off))
