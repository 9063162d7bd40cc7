"""All scenarios. Importing this package registers them."""

from __future__ import annotations

from carelane.lab.scenario import register
from carelane.lab.scenarios.changes import Changes
from carelane.lab.scenarios.chaos import Chaos
from carelane.lab.scenarios.consultation import Misconduct, Script, Speech
from carelane.lab.scenarios.failover import Failover
from carelane.lab.scenarios.htb_calibration import HtbCalibration
from carelane.lab.scenarios.kernel_check import KernelCheck
from carelane.lab.scenarios.sharing import SharingScenario
from carelane.lab.scenarios.zhoushan import ZhoushanConsultation
from carelane.lab.traffic.models import TcpTransfer

__all__: list[str] = []

_SPEAKER_BPS = 3_200_000
_TURNS = ((4.0, 7.0), (7.0, 10.0), (10.0, 22.0))

register(Changes())
register(Chaos())
register(Failover())
register(HtbCalibration())
register(KernelCheck())
register(ZhoushanConsultation())
register(
    SharingScenario(
        "consultation-hub",
        "ten stations join on the hour, I-frames aligned, speakers switching",
        Script(22.0, 10, tuple(Speech(n, *at, _SPEAKER_BPS) for n, at in enumerate(_TURNS, 1))),
        changes_s=tuple(begin for begin, _ in _TURNS),
        equal=tuple(range(4, 11)),
        steady_s=(16.5, 22.0),
    )
)
register(
    SharingScenario(
        "burst-vs-surgery",
        "six stations burst at once, for more than there is, beside a surgery and a genome transfer",
        Script(18.0, 6, tuple(Speech(n, 5.0, 18.0, 2_000_000) for n in range(1, 7))),
        changes_s=(5.0,),
        equal=tuple(range(1, 7)),
        steady_s=(11.5, 18.0),
        stations=6,
    )
)
register(
    SharingScenario(
        "controller-killed",
        "burst-vs-surgery once more; in the middle of the burst the controller is killed, and comes back",
        Script(20.0, 6, tuple(Speech(n, 6.0, 20.0, 2_000_000) for n in range(1, 7))),
        changes_s=(6.0,),
        equal=tuple(range(1, 7)),
        steady_s=(16.0, 20.0),
        modes=("carelane",),
        stations=6,
        kill_s=9.0,
    )
)
register(
    SharingScenario(
        "noisy-neighbour",
        "one station floods its slice, a monitor sends ten times its contract, then forges; nobody else notices",
        Script(
            18.0,
            6,
            (Speech(1, 5.0, 18.0, 12_000_000, video=False),),
            rogue=Misconduct((6.0, 9.0), 5_000_000, (11.0, 14.0), 1_000_000),
        ),
        changes_s=(5.0,),
        equal=tuple(range(2, 7)),
        steady_s=(11.5, 18.0),
        stations=6,
    )
)
register(
    SharingScenario(
        "genome-overnight",
        "a genome transfer takes what is idle, gives way to a consultation, and finishes no later for it",
        Script(20.0, 6, tuple(Speech(n, 4.0, 8.0, 2_000_000) for n in range(1, 4)), bulk=TcpTransfer(16_000_000)),
        changes_s=(4.0, 8.0),
        equal=tuple(range(4, 7)),
        steady_s=(14.5, 20.0),
        stations=6,
    )
)
register(
    SharingScenario(
        "demand-shift",
        "one station's need moves to another",
        Script(20.0, 6, (Speech(1, 4.0, 8.0, 5_000_000), Speech(2, 8.0, 20.0, 5_000_000))),
        changes_s=(4.0, 8.0),
        equal=tuple(range(3, 7)),
        steady_s=(14.5, 20.0),
        stations=6,
    )
)
