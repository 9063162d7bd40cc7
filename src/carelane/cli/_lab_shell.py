"""The prompt inside a lab: look at switches, speak as a host, cut a wire and watch."""

from __future__ import annotations

import cmd
import shlex
import sys

from carelane.cli._exit import tell
from carelane.cli._output import emit_text
from carelane.errors import CarelaneError
from carelane.lab.lab import Lab
from carelane.lab.network import LabNetwork

__all__ = ["LabShell"]


class LabShell(cmd.Cmd):
    """One command a line, from a terminal or a pipe. What a command prints goes to stdout, faults to stderr."""

    def __init__(self, lab: Lab, network: LabNetwork) -> None:
        super().__init__()
        self._lab = lab
        self._network = network
        self.prompt = "lab> " if sys.stdin.isatty() else ""
        self.use_rawinput = sys.stdin.isatty()
        bridges = ", ".join(f"{switch.name} ({network.bridge(switch.name)})" for switch in network.switches)
        hosts = ", ".join(f"{host.name} ({host.ip})" for host in network.hosts)
        self.intro = (
            f"switches: {bridges}\nhosts: {hosts}\nwires: {', '.join(wire.id for wire in network.wires)}\n"
            "HOST COMMAND runs on a host, as in `or-1 ping -c 3 10.3.0.11`; `cut WIRE [silent]`, `restore WIRE`;\n"
            "anything else runs beside the switches: `ovs-ofctl -O OpenFlow13 dump-flows s1`; `exit` ends the lab."
        )

    def onecmd(self, line: str) -> bool:
        """Carry out a line; True ends the shell. A fault of a command does not."""
        try:
            words = shlex.split(line)
        except ValueError as error:
            tell(f"lab: {error}")
            return False
        if words in (["exit"], ["quit"], ["EOF"]):
            return True
        if words:
            try:
                self._carry_out(words)
            except CarelaneError as error:
                tell(f"lab: {error}")
        return False

    def _carry_out(self, words: list[str]) -> None:
        first, *rest = words
        if first in ("help", "?"):
            emit_text(str(self.intro))
        elif first == "cut" and rest:
            self._lab.cut(rest[0], silent=rest[1:] == ["silent"])
        elif first == "restore" and rest:
            self._lab.restore(rest[0])
        elif first in {host.name for host in self._network.hosts} and rest:
            emit_text(self._lab.run(rest, host=first))
        else:
            emit_text(self._lab.run(words))
        sys.stdout.flush()
