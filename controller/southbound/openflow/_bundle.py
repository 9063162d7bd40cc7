"""Bundles: several messages that a switch carries out as one, or not at all (ONF extension 230 of OpenFlow 1.3).

Open vSwitch takes flow-mods and group-mods into a bundle. Packets see the tables before it or after it.
"""

from __future__ import annotations

import struct

from carelane.controller.southbound.openflow._compat import ofp

__all__ = ["COMMIT", "DISCARD", "OPEN", "added", "control"]

OPEN: int = ofp.ONF_BCT_OPEN_REQUEST
COMMIT: int = ofp.ONF_BCT_COMMIT_REQUEST
DISCARD: int = ofp.ONF_BCT_DISCARD_REQUEST

_ONF = 0x4F4E4600
_FLAGS = ofp.ONF_BF_ATOMIC | ofp.ONF_BF_ORDERED
_CONTROL = struct.Struct(ofp.OFP_HEADER_PACK_STR + "II" + ofp.ONF_BUNDLE_CTRL_PACK_STR[1:])
_ADD = struct.Struct(ofp.OFP_HEADER_PACK_STR + "II" + ofp.ONF_BUNDLE_ADD_MSG_PACK_STR[1:])


def control(bundle: int, kind: int, xid: int) -> bytes:
    """Open, commit or discard a bundle."""
    head = (ofp.OFP_VERSION, ofp.OFPT_EXPERIMENTER, _CONTROL.size, xid, _ONF, ofp.ONF_ET_BUNDLE_CONTROL)
    return _CONTROL.pack(*head, bundle, kind, _FLAGS)


def added(bundle: int, message: bytes, xid: int) -> bytes:
    """A message put into a bundle; both carry the same `xid`, as the extension asks."""
    length = _ADD.size + len(message)
    head = (ofp.OFP_VERSION, ofp.OFPT_EXPERIMENTER, length, xid, _ONF, ofp.ONF_ET_BUNDLE_ADD_MESSAGE)
    return _ADD.pack(*head, bundle, _FLAGS) + message
