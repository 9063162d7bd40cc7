"""The only door to os-ken: every os_ken name the adapter uses is imported here, after its faults are repaired.

Found by running os-ken 4.2.2 under native threads; each has a regression test in
``tests/unit/test_openflow_compat.py``:

- The hub is chosen at the first import, from the environment. A value inherited from the shell must not bring in
  eventlet, so it is set here, before that import.
- ``hub.Event.wait(timeout)`` never times out. It is replaced by ``threading.Event``, which has the same methods.
- Options live in an oslo.config object that reads ``sys.argv`` and /etc when first called without arguments. It is
  called once with none of either.

What is wrong with os-ken's connections (a vanished switch goes unnoticed, threads outlive their socket) is mended
where connections live, in `carelane.controller.southbound.openflow._connection`.
"""

from __future__ import annotations

import os
import threading
from typing import Any

os.environ["OSKEN_HUB_TYPE"] = "native"

from os_ken import cfg
from os_ken.lib import hub

if hub.HUB_TYPE != "native":
    raise RuntimeError(
        f"os_ken was imported with the {hub.HUB_TYPE!r} hub before carelane; carelane needs native threads: "
        "import carelane.controller.southbound.openflow first"
    )
hub.Event = threading.Event

from os_ken.base import app_manager  # noqa: E402
from os_ken.controller import controller, handler, ofp_handler  # noqa: E402
from os_ken.controller import ofp_event as _ofp_event  # noqa: E402
from os_ken.lib.packet import ethernet as _ethernet  # noqa: E402
from os_ken.lib.packet import lldp as _lldp  # noqa: E402
from os_ken.ofproto import ofproto_parser as _ofproto_parser  # noqa: E402
from os_ken.ofproto import ofproto_protocol, ofproto_v1_3, ofproto_v1_3_parser  # noqa: E402

__all__ = [
    "CONFIG_DISPATCHER",
    "DEAD_DISPATCHER",
    "MAIN_DISPATCHER",
    "SERVICE_BRICKS",
    "AppManager",
    "Datapath",
    "OFPHandler",
    "ProtocolDesc",
    "cfg",
    "ethernet",
    "hub",
    "lldp",
    "ofp",
    "ofp_event",
    "ofproto_parser",
    "parser",
    "set_ev_handler",
]

# os-ken is untyped, and much of what its modules hold is generated when they are imported. `Any` ends here.
ofp: Any = ofproto_v1_3
parser: Any = ofproto_v1_3_parser
ofproto_parser: Any = _ofproto_parser
ofp_event: Any = _ofp_event
ethernet: Any = _ethernet
lldp: Any = _lldp
AppManager: Any = app_manager.AppManager
SERVICE_BRICKS: Any = app_manager.SERVICE_BRICKS
Datapath: Any = controller.Datapath
OFPHandler: Any = ofp_handler.OFPHandler
ProtocolDesc: Any = ofproto_protocol.ProtocolDesc
set_ev_handler: Any = handler.set_ev_handler
CONFIG_DISPATCHER: str = handler.CONFIG_DISPATCHER
MAIN_DISPATCHER: str = handler.MAIN_DISPATCHER
DEAD_DISPATCHER: str = handler.DEAD_DISPATCHER

cfg.CONF(args=[], project="carelane", default_config_files=[], default_config_dirs=[])
