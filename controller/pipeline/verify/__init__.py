"""Verify: whether a program does what every slice was promised, and nothing else, before any switch is told. Pure.

Input: the topology, the slices and a `Program` (compiled, or read back from switches). Output: `Fault`s, each with a
packet and the way it went; none when all of this holds:

- every journey of every slice (IP in each direction of each pair, ARP, the tree) arrives at the right port and at no
  other, once, by the planned path, with the right headers and popped, in the slice's own queue at every port, policed
  once, by the meter that was declared;
- the same, by the first of its paths that is whole, while any single link, switch or risk group is dead that leaves it
  one (to every receiver of a tree that has one, once); with two failures nothing loops or strays either, and what has a
  third path takes it;
- no rule takes packets that belong to another slice, and none is broader than the slice's own traffic;
- groups watch the port they send to, and every link port is watched by BFD;
- floors are what was reserved, and those in use fit the ports, also (where backups share) while any single link,
  switch or risk group is dead; no single failure sends more copies of a tree into a port than it has floors for;
  queues, rules, labels, groups and meters that serve no packet of any slice in any state are leftovers.

The method is that of header space analysis and VeriFlow (Khurshid et al., NSDI 2013): packets are sets (`_cube`),
rules are found by switch, table, input port and label, and a change is checked by walking again only what it touches.
What is not modelled: time (a group acts at once), burst allowances beyond a lower bound, and IPv6 extension headers.
"""

from __future__ import annotations

from carelane.controller.pipeline.verify._verifier import Verifier, verify_program
from carelane.controller.pipeline.verify.faults import Fault, FaultKind, Visit

__all__ = ["Fault", "FaultKind", "Verifier", "Visit", "verify_program"]
