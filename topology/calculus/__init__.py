"""Network calculus: worst-case delays of flows that share servers, in exact fractions.

`parse_network` reads a CalculusNetwork, `delay_bounds` analyses it. The curves and operators are there for analyses of
one's own, and the schedulers turn a port and its other classes into a service curve for one class.
"""

from carelane.topology.calculus._analysis import (
    Analysis,
    Bound,
    Bounds,
    Multiplexing,
    Propagation,
    delay_bounds,
)
from carelane.topology.calculus._classes import ClassFlow, SharedPort, class_delays
from carelane.topology.calculus._curves import (
    ArrivalCurve,
    RateLatency,
    ServiceCurve,
    TokenBucket,
    backlog,
    convolve,
    delay_arbitrary,
    delay_fifo,
    left_over_arbitrary,
    left_over_fifo,
    output,
    rate_latency,
    sum_of,
    token_bucket,
)
from carelane.topology.calculus._htb import FloorQueue, htb_waits_ps
from carelane.topology.calculus._manifest import parse_network
from carelane.topology.calculus._network import Flow, Network, Server
from carelane.topology.calculus._schedulers import deficit_round_robin, strict_priority

__all__ = [
    "Analysis",
    "ArrivalCurve",
    "Bound",
    "Bounds",
    "ClassFlow",
    "FloorQueue",
    "Flow",
    "Multiplexing",
    "Network",
    "Propagation",
    "RateLatency",
    "Server",
    "ServiceCurve",
    "SharedPort",
    "TokenBucket",
    "backlog",
    "class_delays",
    "convolve",
    "deficit_round_robin",
    "delay_arbitrary",
    "delay_bounds",
    "delay_fifo",
    "htb_waits_ps",
    "left_over_arbitrary",
    "left_over_fifo",
    "output",
    "parse_network",
    "rate_latency",
    "strict_priority",
    "sum_of",
    "token_bucket",
]
