"""`chaos`: a seeded sequence of failures and changes, and what must hold after each of them.

Links are cut (with loss of carrier and silently) and restored, switches lose all they were told, the controller is
killed, intents come and go, links are drained and put back, slices are moved by re-optimisation and back. At most one
link at a time is cut or drained, which is what a protected slice is promised to survive. After every step, within a
time limit:

- every intent is Active, or Degraded while a link is away, and none is stuck;
- what the switches hold is proven (`carelane verify`);
- the two ends of every intent reach each other, and two ends that no intent joins do not.

At the end everything is withdrawn and nothing may be left. The same seed takes the same steps.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from carelane.lab.carelane_server import CarelaneServer
from carelane.lab.from_topology import lab_network
from carelane.lab.lab import Lab
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
                player.withdraw_all()
                left = leftovers(lab, network)
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

    def withdraw_all(self) -> None:
        for name in list(self.joined):
            self.server.check_cli("delete", name)
        self.joined.clear()

    def _possible(self) -> list[str]:
        steps = ["apply", "kill", "wipe"] if len(self.joined) < len(_SITES) // 2 else ["delete", "kill", "wipe"]
        if self.joined:
            steps += ["delete", "reoptimise"]
        if self.away is None:
            return [*steps, "cut", "silent", "cut", "drain", "drain"]
        return [*steps, *["restore" if self.away[0] == "cut" else "undrain"] * 3]

    def _step(self, kind: str) -> None:
        told = getattr(self, f"_{kind}")()
        self.steps.append(told)
        fault = self._settled()
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
        network = self.lab.network
        assert network is not None
        self.server.start(switches=len(network.switches))
        return "kill controller"

    def _wipe(self) -> str:
        network = self.lab.network
        assert network is not None
        switch = self.dice.choice([item.name for item in network.switches])
        for command in ("del-flows", "del-groups", "del-meters"):
            self.lab.run(["ovs-ofctl", "-O", "OpenFlow13", command, network.bridge(switch)])
        return f"wipe {switch}"

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

    def _settled(self) -> str:
        """What does not hold when time is up; empty as soon as everything does."""
        deadline = time.monotonic() + _SETTLE_S
        while True:
            fault = self._fault()
            if not fault or time.monotonic() > deadline:
                return fault
            time.sleep(1.0)

    def _fault(self) -> str:
        try:
            rows = {row["name"]: row for row in self.server.get("/v1/intents")["intents"]}
            proof = self.server.get("/v1/verification")
        except (OSError, json.JSONDecodeError) as error:
            return f"the controller does not answer: {error}"
        if rows.keys() != self.joined.keys():
            return f"intents are {sorted(rows)} and should be {sorted(self.joined)}"
        allowed = ("Active",) if self.away is None else ("Active", "Degraded")
        for name, row in rows.items():
            if row["phase"] not in allowed:
                return f"{name} is {row['phase']}: {row['reason']}: {row['message']}"
        if not proof["proven"]:
            told = [*(fault["text"] for fault in proof["faults"]), *proof["unread"].values(), *proof["beside"].values()]
            return f"not proven: {told[:2]}"
        for name, (source, target) in self.joined.items():
            if not self.lab.ping(source, target):
                return f"{name}: {source} does not reach {target}"
        strangers = [(a, b) for a in _SITES[:3] for b in _SITES[3:] if (a, b) not in self.joined.values()]
        source, target = strangers[len(self.steps) % len(strangers)]
        return f"{source} reaches {target}, which no intent joins" if self.lab.ping(source, target) else ""
