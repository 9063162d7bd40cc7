"""The numbers of a slice: allocated once, kept for life, readable in `ovs-ofctl` and `tc`.

Everything a switch holds for a slice can be traced back to it from these numbers alone:

  cookie  bits 48-63 COOKIE_OWNER, bits 32-47 what the rule is (`CookieKind`), bits 0-31 the slice number or 0
  label   block of a slice: 2k and 2k + 1 for the two directions of path k of its decision; from 2n on, for point to
          multipoint, one for each tree, and one for each link of a tree and tree that may take over from it
  group   GROUP_TAG | label; with bit 20 set where packets of the label come back to the edge of their path
  address of a point-to-multipoint slice's group: 239.192.0.0 + slice number, in the organisation-local scope of
          RFC 2365 section 6.2; for IPv6 ff18::8000:0 + slice number (RFC 3307 section 4.3)
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address

from carelane.controller.pipeline.program import (
    COOKIE_OWNER,
    FIRST_LABEL,
    FIRST_SLICE,
    GROUP_TAG,
    LAST_LABEL,
    LAST_SLICE,
    SliceIds,
)
from carelane.controller.pipeline.slice_plan import Decision
from carelane.controller.pipeline.trees import Edge, Forest, branches_of, grow
from carelane.errors import ConflictError

__all__ = [
    "CookieKind",
    "allocate",
    "branch_label",
    "cookie_of",
    "forward_label",
    "group_id",
    "group_label",
    "labels_needed",
    "multicast_address",
    "return_group_id",
    "reverse_label",
    "slice_number",
    "tree_label",
]

_RETURNED = 1 << 20
_MULTICAST_V4 = int(IPv4Address("239.192.0.0"))
_MULTICAST_V6 = int(IPv6Address("ff18::8000:0"))


class CookieKind(IntEnum):
    """What a rule with slice number 0 stands for; a slice's own rules are `SLICE`.

    The drop rules have kinds of their own so that their counters answer different questions: a host that lies
    about its address, a sender nobody admitted, a label nobody allocated, a frame that has no business here.
    """

    SLICE = 0
    PIPELINE = 1
    SPOOFED_SOURCE = 2
    UNADMITTED = 3
    UNKNOWN_LABEL = 4
    FOREIGN_FRAME = 5


def cookie_of(kind: CookieKind, number: int = 0) -> int:
    """The cookie of a rule; `number` is the slice number, 0 for the pipeline's own rules."""
    return COOKIE_OWNER << 48 | kind << 32 | number


def slice_number(cookie: int) -> int:
    """The slice a rule of ours belongs to; 0 for the pipeline's own rules."""
    return cookie & 0xFFFFFFFF


def forward_label(ids: SliceIds, path: int) -> int:
    """Label of path `path` (its place in the decision), source to destination."""
    return ids.first_label + 2 * path


def reverse_label(ids: SliceIds, path: int) -> int:
    """Label of path `path` (its place in the decision), destination to source."""
    return ids.first_label + 2 * path + 1


def tree_label(ids: SliceIds, paths: int, tree: int = 0) -> int:
    """Label of a tree of a point-to-multipoint slice of `paths` paths."""
    return ids.first_label + 2 * paths + tree


def branch_label(ids: SliceIds, paths: int, forest: Forest, edge: Edge, tree: int) -> int:
    """Label of packets that met a dead link at `edge`: on their way back in its own tree, then along another `tree`."""
    return tree_label(ids, paths, forest.count + forest.edges[edge] * forest.count + tree)


def group_id(label: int) -> int:
    """Number of the group that sends packets of `label` on."""
    return GROUP_TAG | label


def return_group_id(label: int) -> int:
    """Number of the group at the edge that gives packets of `label` that came back to the lanes that are left."""
    return GROUP_TAG | _RETURNED | label


def group_label(number: int) -> int:
    """The label that a group of ours belongs to."""
    return number & (_RETURNED - 1)


def multicast_address(ids: SliceIds, *, version: int = 4) -> IPv4Address | IPv6Address:
    """Where the source of a point-to-multipoint slice sends what every receiver is to get."""
    if version == 4:
        return IPv4Address(_MULTICAST_V4 + ids.number)
    return IPv6Address(_MULTICAST_V6 + ids.number)


def labels_needed(decision: Decision) -> int:
    """How many labels the slice needs: two a path, and those of the trees of a point-to-multipoint slice."""
    needed = 2 * len(decision.paths)
    if decision.requirement.connectivity != "point-to-multipoint":
        return needed
    forest = grow(branches_of(decision.paths))
    return needed + forest.count + (len(forest.edges) * forest.count if forest.count > 1 else 0)


def allocate(decision: Decision, used: Iterable[SliceIds]) -> SliceIds:
    """The lowest free slice number and the lowest free block of labels that is long enough.

    Raises ConflictError when the decision is a refusal or when the numbers are exhausted.
    """
    if not decision.admitted:
        raise ConflictError(f"slice {decision.name} is refused: it gets no numbers; change the intent first")
    taken = list(used)
    return SliceIds(
        _free_number({ids.number for ids in taken}),
        _free_block(taken, labels_needed(decision)),
        labels_needed(decision),
    )


def _free_number(taken: set[int]) -> int:
    for number in range(FIRST_SLICE, LAST_SLICE + 1):
        if number not in taken:
            return number
    raise ConflictError(f"all {LAST_SLICE} slice numbers are in use; withdraw slices that are no longer needed")


def _free_block(taken: list[SliceIds], length: int) -> int:
    start = FIRST_LABEL
    for ids in sorted(taken, key=lambda ids: ids.first_label):
        if ids.first_label - start >= length:
            break
        start = max(start, ids.first_label + ids.labels)
    if start + length - 1 > LAST_LABEL:
        raise ConflictError(
            f"no {length} consecutive path labels are free between {FIRST_LABEL} and {LAST_LABEL}; "
            "withdraw slices that are no longer needed"
        )
    return start
