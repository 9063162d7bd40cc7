"""`chaos`: a seeded sequence of failures and changes, and what must hold after each of them.

Links are cut (with loss of carrier and silently), flap and are restored, switches restart (they lose their controller
and all they were told) or lose their rules unnoticed, the controller is killed, intents come and go, links are drained
and put back, slices are moved by re-optimisation and back. At most one link at a time is cut or drained, which is what
a protected slice is promised to survive. After every step, within a time limit:

- every intent is Active, or Degraded while a link is cut, and none is stuck;
- what the switches hold is proven (`carelane verify`);
- the two ends of every intent reach each other, and two ends that no intent joins do not;
- nothing uses a link that is drained, nor one that is cut once a repair was waited for: all intents are Active again.

A step that fails breaks an invariant, too. At the end everything is withdrawn and nothing may be left, on switches and
in the controller's books. The same seed takes the same steps.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.failures import LabError
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
from carelane.lab.network import LabNetwork
from carelane.lab.protocol import CONTROLLER
from carelane.lab.report import Check, Report
from carelane.lab.scenario import ScenarioContext
from carelane.lab.scenarios.inspect import leftovers
from carelane.topology import Topology
from carelane.topology.load import parse_topology

__all__ = ["Chaos", "Player", "chaos_topology"]

_SITES = ("west/1", "west/2", "west/3", "east/1", "east/2", "east/3")
_SETTLE_S = 45.0
_LINKS = ("w-n", "n-e", "w-m", "m-k", "k-e", "w-s", "s-e")

_TOPOLOGY = """
apiVersion: carelane/v1
kind: Topology
metadata: {name: chaos}
spec:
  nodes: [{id: west, kind: switch}, {id: n, kind: switch}, {id: m, kind: switch}, {id: k, kind: switch},
          {id: s, kind: switch}, {id: east, kind: switch}]
  links:
""" + "".join(
    f"    - {{id: {a[0]}-{b[0]}, a: {a}, b: {b}, capacity: 20Mbps, delay: {delay}ms}}\n"
    for a, b, delay in (
        *(("west", "n", 1), ("n", "east", 1), ("west", "m", 1), ("m", "k", 1)),
        *(("k", "east", 1), ("west", "s", 2), ("s", "east", 2)),
    )
) + "  endpoints:\n" + "".join(
    f'    - {{id: {site}, node: {site[:4]}, address: 10.{net}.0.{site[-1]}/32, capacity: 20Mbps, '
    f'mac: "02:00:0a:0{net}:00:0{site[-1]}"}}\n'
    for site in _SITES
    for net in (1 if site.startswith("west") else 2,)
)  # fmt: skip


def chaos_topology() -> Topology:
    """Two sites joined by three disjoint ways, one of them longer than the others."""
    return parse_topology(_TOPOLOGY)


@dataclass(frozen=True, slots=True)
class Chaos:
    """`seconds` is how long steps go on; the last one is finished, checked and withdrawn after."""

    seconds: float = 120.0
    name: str = "chaos"
    summary: str = "seeded failures and changes, with invariants checked after each step"

    def run(self, context: ScenarioContext) -> Report:
        """Raises LabError when the lab or the product fails to do its part; a broken invariant is a result."""
        topology = chaos_topology()
        network = lab_network(topology)
        with context.open() as lab:
            report = context.report(self.name, lab)
            lab.build(network, controller=True)
            server = CarelaneServer(
                lab, topology, settings={"CARELANE_HOLD_OFF_S": "2", "CARELANE_REPAIR_AFTER_S": "3"}
            )
            try:
                server.start(switches=len(network.switches))
                player = Player(lab, server, random.Random(context.seed), context.say)  # noqa: S311 - not a secret
                player.play(time.monotonic() + self.seconds)
                broken = player.broken
                steps = f"{len(player.steps)} steps with seed {context.seed}: {', '.join(player.steps)}"
                report.notes.append(steps)
                held = "; ".join(broken[:3]) or f"{len(player.steps)} steps"
                report.checks.append(Check("every invariant holds after every step", not broken, held))
                left = player.left_over()
                report.checks.append(Check("nothing is left over", not left, "; ".join(sorted(left)[:5]) or "nothing"))
            finally:
                server.stop()
                report.attachments["controller.log"] = server.log.read_bytes()
        return report


@dataclass
class Player:
    """Takes steps and checks them. `steps` are what was done, `broken` what did not hold."""

    lab: Lab
    server: CarelaneServer
    dice: random.Random
    say: Callable[[str], None]
    steps: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    joined: dict[str, tuple[str, str]] = field(default_factory=dict)
    away: tuple[str, str] | None = None

    def play(self, until_s: float) -> None:
        """Steps until the time is up or an invariant breaks."""
        self._step("apply")
        while time.monotonic() < until_s and not self.broken:
            self._step(self.dice.choice(self._possible()))
        if self.away is not None:
            self._step("restore" if self.away[0] == "cut" else "undrain")

    def left_over(self) -> frozenset[str]:
        """Withdraw everything; one line for each thing that is still there afterwards, or why that is not known."""
        try:
            for name in list(self.joined):
                self.server.check_cli("delete", name)
            self.joined.clear()
            booked = [row for row in self.server.get("/v1/capacity")["links"] if row["reserved_mbps"]]
            return leftovers(self.lab, self._network) | {
                f"{row['link']}: {row['reserved_mbps']} Mbps" for row in booked
            }
        except (LabError, OSError, json.JSONDecodeError) as error:
            return frozenset({str(error)})

    def _possible(self) -> list[str]:
        steps = ["apply", "kill", "wipe"] if len(self.joined) < len(_SITES) // 2 else ["delete", "kill", "wipe"]
        if self.joined:
            steps += ["delete", "reoptimise"]
        if self.away is None:
            return [*steps, "restart", "flap", "cut", "silent", "cut", "drain", "drain"]
        return [*steps, "restart", *(["restore", "repair", "restore"] if self.away[0] == "cut" else ["undrain"] * 3)]

    def _step(self, kind: str) -> None:
        told, fault = kind, ""
        try:
            told = getattr(self, f"_{kind}")()
        except LabError as error:
            fault = str(error)
        self.steps.append(told)
        fault = fault or self._settled(repaired=kind == "repair")
        self.say(f"chaos: {told}: {fault or 'holds'}")
        if fault:
            self.broken.append(f"after step {len(self.steps)}, {told}: {fault}")

    def _apply(self) -> str:
        taken = {site for pair in self.joined.values() for site in pair}
        source = self.dice.choice([site for site in _SITES[:3] if site not in taken])
        target = self.dice.choice([site for site in _SITES[3:] if site not in taken])
        name = f"care-{len(self.steps)}"
        self.server.check_cli(
            *("apply", "--no-wait", "--name", name),
            f"video conference {source} -> {target}: 1 Mbps, jitter none, loss none, availability none, protected",
        )
        self.joined[name] = (source, target)
        return f"apply {name}"

    def _delete(self) -> str:
        name = self.dice.choice(sorted(self.joined))
        self.server.check_cli("delete", name)
        del self.joined[name]
        return f"delete {name}"

    def _kill(self) -> str:
        self.server.kill()
        self.server.start(switches=len(self._network.switches))
        return "kill controller"

    @property
    def _network(self) -> LabNetwork:
        assert self.lab.network is not None
        return self.lab.network

    def _wipe(self) -> str:
        switch = self.dice.choice([item.name for item in self._network.switches])
        self._empty(self._network.bridge(switch))
        return f"wipe {switch}"

    def _restart(self) -> str:
        """As an Open vSwitch does: its database stays, its rules and connections go."""
        switch = self.dice.choice([item.name for item in self._network.switches])
        bridge = self._network.bridge(switch)
        self.lab.run(["ovs-vsctl", "del-controller", bridge])
        self._empty(bridge)
        created = ["--", "--id=@it", "create", "Controller", *CONTROLLER]
        self.lab.run(["ovs-vsctl", *created, "--", "set", "Bridge", bridge, "controller=@it"])
        return f"restart {switch}"

    def _empty(self, bridge: str) -> None:
        for command in ("del-flows", "del-groups", "del-meters"):
            self.lab.run(["ovs-ofctl", "-O", "OpenFlow13", command, bridge])

    def _flap(self) -> str:
        link = self.dice.choice(_LINKS)
        for _ in range(3):
            self.lab.cut(link)
            self.lab.restore(link)
        return f"flap {link}"

    def _repair(self) -> str:
        assert self.away is not None
        return f"await repair without {self.away[1]}"

    def _cut(self) -> str:
        return self._fail(silent=False)

    def _silent(self) -> str:
        return self._fail(silent=True)

    def _fail(self, *, silent: bool) -> str:
        link = self.dice.choice(_LINKS)
        self.lab.cut(link, silent=silent)
        self.away = ("cut", link)
        return f"cut {link}{' silently' if silent else ''}"

    def _restore(self) -> str:
        assert self.away is not None
        link = self.away[1]
        self.lab.restore(link)
        self.away = None
        return f"restore {link}"

    def _drain(self) -> str:
        link = self.dice.choice(_LINKS)
        self.server.check_cli("drain", link)
        self.away = ("drain", link)
        return f"drain {link}"

    def _reoptimise(self) -> str:
        aim = self.dice.choice(([], ["--balance", "--gain", "1%"], ["--undo"]))
        self.server.check_cli("reoptimise", *aim)
        return " ".join(("reoptimise", *aim))

    def _undrain(self) -> str:
        assert self.away is not None
        link = self.away[1]
        self.server.check_cli("undrain", link)
        self.away = None
        return f"undrain {link}"

    def _settled(self, *, repaired: bool) -> str:
        """What does not hold when time is up; empty as soon as everything does."""
        deadline = time.monotonic() + _SETTLE_S
        cut = self.away is not None and self.away[0] == "cut" and not repaired
        while True:
            try:
                fault = self._fault(exposed=cut)
            except (OSError, json.JSONDecodeError) as error:
                fault = f"the controller does not answer: {error}"
            if not fault or time.monotonic() > deadline:
                return fault
            time.sleep(1.0)

    def _fault(self, *, exposed: bool) -> str:
        """The first thing that does not hold. `exposed`: a link is cut, and nobody waited for what follows from it."""
        rows = {row["name"]: row for row in self.server.get("/v1/intents")["intents"]}
        proof = self.server.get("/v1/verification")
        if rows.keys() != self.joined.keys():
            return f"intents are {sorted(rows)} and should be {sorted(self.joined)}"
        allowed = ("Active", "Degraded") if exposed else ("Active",)
        for name, row in rows.items():
            if row["phase"] not in allowed:
                return f"{name} is {row['phase']}: {row['reason']}: {row['message']}"
        if not proof["proven"]:
            told = [*(fault["text"] for fault in proof["faults"]), *proof["unread"].values(), *proof["beside"].values()]
            return f"not proven: {told[:2]}"
        if self.away is not None and not exposed and (users := self._users(self.away[1])):
            return f"{', '.join(users)} still use {self.away[1]}"
        for name, (source, target) in self.joined.items():
            if not self.lab.ping(source, target):
                return f"{name}: {source} does not reach {target}"
        strangers = [(a, b) for a in _SITES[:3] for b in _SITES[3:] if (a, b) not in self.joined.values()]
        source, target = strangers[len(self.steps) % len(strangers)]
        return f"{source} reaches {target}, which no intent joins" if self.lab.ping(source, target) else ""

    def _users(self, link: str) -> list[str]:
        """Names with a path over it."""
        running = {name: self.server.get(f"/v1/intents/{name}")["running_decision"] or {} for name in self.joined}
        return [name for name, held in running.items() if any(link in path["links"] for path in held.get("paths", ()))]
