"""What the network is: snapshot, loaders, graph view, capacity ledger.

`load_topology` reads a file or a bundled network, `parse_topology` text; the result is an immutable `Topology`.
"""

from carelane.topology.cut import cut
from carelane.topology.graph import to_graph
from carelane.topology.ledger import CapacityLedger
from carelane.topology.load import BUNDLED, load_topology, parse_topology
from carelane.topology.model import Endpoint, Hop, Link, Node, RiskGroup, Topology
from carelane.topology.summary import TopologySummary, find_endpoint, summarize, summary_json

__all__ = [
    "BUNDLED",
    "CapacityLedger",
    "Endpoint",
    "Hop",
    "Link",
    "Node",
    "RiskGroup",
    "Topology",
    "TopologySummary",
    "cut",
    "find_endpoint",
    "load_topology",
    "parse_topology",
    "summarize",
    "summary_json",
    "to_graph",
]
