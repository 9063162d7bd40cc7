"""What can be proven of a network: delay bounds and availabilities; no server, no switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from carelane.cli._commands._app import app
from carelane.cli._commands._options import Availability, Capacity, Files, Output, TopologyFile

if TYPE_CHECKING:
    from carelane.cli._class_queues import Analysis
    from carelane.cli._output import Format

__all__: list[str] = []

Adding = Annotated[
    list[str] | None,
    typer.Option("--adding", metavar="INTENTS", help="Intents that come later: whom would they break? Repeatable."),
]


@app.command()
def bound(
    file: Annotated[str, typer.Argument(metavar="FILE", help="YAML file with a CalculusNetwork.")],
    analysis: Annotated[Literal["tfa", "sfa"], typer.Option(help="Total or separate flow analysis.")] = "tfa",
    multiplexing: Annotated[
        Literal["fifo", "arbitrary"], typer.Option(help="In which order a server serves what its flows bring.")
    ] = "fifo",
    line_shaping: Annotated[
        bool, typer.Option("--line-shaping", help="Flows from one server never exceed its peak together.")
    ] = False,
    propagation: Annotated[
        Literal["auto", "delay", "service"], typer.Option(help="How traffic is bounded after a server.")
    ] = "auto",
    details: Annotated[bool, typer.Option("--details", help="Also exact fractions, servers, reasons.")] = False,
    output: Output = "table",
) -> None:
    """Bound the delay of every flow of a plain network of servers, by network calculus.

    Exit 0 when every flow has a bound, 1 when some have none (null, the reason on stderr), 2 on bad input.
    """
    from carelane.cli._bound import run_bound

    raise typer.Exit(
        run_bound(
            file,
            analysis,
            multiplexing,
            line_shaping=line_shaping,
            propagation=propagation,
            details=details,
            output=output,
        )
    )


@app.command()
def availability(
    topology: TopologyFile,
    paths: Annotated[
        list[str] | None,
        typer.Option(
            "--paths", metavar="NODE,NODE,...", help="A path; NODE@LINK,NODE picks one of parallel links. Repeatable."
        ),
    ] = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Exact availability of a service that works while any of the paths works."""
    from carelane.cli._availability import run_availability
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_availability(network, paths or [], output=output))


@app.command("class-queues")
def class_queues(
    topology: TopologyFile,
    file: Files = None,
    adding: Adding = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Bound the delays of admitted intents as if slices shared a queue for each traffic class.

    Exit 0 when all objectives would hold, 1 when some would not, 2 on bad input.
    """
    from carelane.cli._class_queues import CLASS_QUEUES

    raise typer.Exit(
        _queues(CLASS_QUEUES, topology, file, adding, (default_capacity, default_availability), output=output)
    )


@app.command("port-waits")
def port_waits(
    topology: TopologyFile,
    file: Files = None,
    adding: Adding = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Bound the delays of admitted intents with what their queues wait for others at every port.

    Exit 0 when all objectives hold even so, 1 when some would not, 2 on bad input.
    """
    from carelane.cli._class_queues import PORT_WAITS

    raise typer.Exit(
        _queues(PORT_WAITS, topology, file, adding, (default_capacity, default_availability), output=output)
    )


def _queues(
    analysis: Analysis,
    topology: str,
    file: list[str] | None,
    adding: list[str] | None,
    defaults: tuple[str | None, str | None],
    *,
    output: Format,
) -> int:
    from carelane.cli._class_queues import run_queues
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, *defaults)
    names = [*(file or []), *(adding or [])]
    intents = read_intents(None, names, [], [], None, network.endpoints, topology)
    later = {"<stdin>" if name == "-" else name for name in set(adding or []) - set(file or [])}
    return run_queues(analysis, network, intents, later, output=output)


@app.command("shared-backups")
def shared_backups(
    topology: TopologyFile,
    file: Files = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Compare backups of their own with backups that share capacity where no single failure needs them at once.

    Exit 0 when all would be admitted then, 3 when some would not, 2 on bad input.
    """
    from carelane.cli._shared_backups import run_shared_backups
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(None, file or [], [], [], None, network.endpoints, topology)
    raise typer.Exit(run_shared_backups(network, intents, output=output))
