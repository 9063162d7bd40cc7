"""Every command with its options. Bodies only import what they run, so that starting costs next to nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from carelane import __version__

__all__ = ["app"]

Format = Literal["json", "yaml", "table"]

app = typer.Typer(
    help="The control plane of a dedicated health network: declare what a service needs, get a proven and "
    "measured slice, or a reasoned refusal.",
    epilog="Exit codes: 0 done, 1 a promise or check failed, 2 bad input, 3 refused, 69 no server, 70 defect, "
    "75 timed out.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
topology_app = typer.Typer(
    help="Look at a topology, from a file or bundled.", rich_markup_mode=None, no_args_is_help=True
)
lab_app = typer.Typer(
    help="Emulated networks with real switches and packets.", rich_markup_mode=None, no_args_is_help=True
)
app.add_typer(topology_app, name="topology")
app.add_typer(lab_app, name="lab")

Line = Annotated[str | None, typer.Argument(metavar="[LINE]", help="An intent in one line, English or Chinese.")]
Files = Annotated[
    list[str] | None, typer.Option("-f", "--file", metavar="INTENTS", help="Manifest file, - for stdin. Repeatable.")
]
Sources = Annotated[list[str] | None, typer.Option("--from", metavar="ENDPOINT", help="Source of LINE. Repeatable.")]
Destinations = Annotated[
    list[str] | None, typer.Option("--to", metavar="ENDPOINT", help="Destination of LINE. Repeatable.")
]
Name = Annotated[str | None, typer.Option("--name", help="Name of the intent in LINE.")]
Output = Annotated[Format, typer.Option("-o", "--output", help="How to print.")]
TopologyFile = Annotated[
    str, typer.Option("-t", "--topology", metavar="TOPOLOGY", help="YAML or GraphML file, or a bundled name.")
]
Capacity = Annotated[
    str | None, typer.Option("--default-capacity", metavar="RATE", help="For links that state none, such as 10Gbps.")
]
Availability = Annotated[
    str | None,
    typer.Option(
        "--default-availability", metavar="RATIO", help="For links and nodes that state none, such as 99.99%."
    ),
]
Url = Annotated[
    str | None, typer.Option("--url", envvar="CARELANE_URL", help="Server; http://127.0.0.1:8642 if not given.")
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is done.")]
Substrate = Annotated[
    Literal["auto", "host", "lab-kernel", "userspace"],
    typer.Option(help="Where the switches run: this machine's kernel, the lab kernel, or without a kernel."),
]
Timeout = Annotated[str, typer.Option("--timeout", metavar="DURATION", help="How long to wait.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"carelane {__version__}")
        raise typer.Exit


@app.callback()
def _carelane(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error. Accepted anywhere.")] = False,
) -> None:
    """Options before any command."""


@app.command()
def version() -> None:
    """Print the version."""
    _show_version(wanted=True)


@app.command()
def plan(
    topology: TopologyFile,
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    optimize: Annotated[bool, typer.Option("--optimize", help="Decide all intents as one batch.")] = False,
    output: Output = "table",
) -> None:
    """Decide intents against a topology; no server, no switches.

    Exit 0 when all are admitted, 3 when some are refused, 2 on bad input.
    """
    from carelane.cli._sources import load_network, read_intents

    network = load_network(topology, default_capacity, default_availability)
    intents = read_intents(line, file or [], source or [], to or [], name, network.endpoints, topology)
    from carelane.cli._plan import run_plan

    raise typer.Exit(run_plan(network, intents, optimize=optimize, output=output))


@app.command()
def apply(
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, but file nothing.")] = False,
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
    output: Output = "table",
) -> None:
    """File intents with the running server; all of them or, when one is faulty, none."""
    from carelane.cli._remote import run_apply
    from carelane.cli._sources import read_submission

    submission = read_submission(line, file or [], source or [], to or [], name)
    raise typer.Exit(run_apply(url, submission, dry_run=dry_run, wait=wait, timeout=timeout, output=output))


@app.command()
def diff(
    line: Line = None,
    file: Files = None,
    source: Sources = None,
    to: Destinations = None,
    name: Name = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """Show what would change on the switches.

    With intents, what filing them would send; without, what a repair would send. Exit 0 when nothing would change,
    1 when something would.
    """
    from carelane.cli._remote import run_diff
    from carelane.cli._sources import read_submission

    asked = line is not None or file or source or to
    submission = read_submission(line, file or [], source or [], to or [], name) if asked else None
    raise typer.Exit(run_diff(url, submission, output=output))


@app.command()
def get(
    name: Annotated[str | None, typer.Argument(help="One intent; all without it.")] = None,
    url: Url = None,
    output: Output = "table",
) -> None:
    """List intents and their state."""
    from carelane.cli._remote import run_get

    raise typer.Exit(run_get(url, name, output=output))


@app.command()
def describe(
    name: Annotated[str, typer.Argument(help="The intent.")], url: Url = None, output: Output = "table"
) -> None:
    """Everything known about one intent: state, reasons, paths with bounds, labels, queues, meters, history."""
    from carelane.cli._remote import run_describe

    raise typer.Exit(run_describe(url, name, output=output))


@app.command()
def delete(
    name: Annotated[str, typer.Argument(help="The intent.")],
    wait: Wait = True,
    timeout: Timeout = "60s",
    url: Url = None,
) -> None:
    """Withdraw an intent and wait until nothing of it is left on the switches."""
    from carelane.cli._remote import run_delete

    raise typer.Exit(run_delete(url, name, wait=wait, timeout=timeout))


@app.command()
def up(
    topology: Annotated[
        str | None,
        typer.Option("-t", "--topology", envvar="CARELANE_TOPOLOGY", metavar="TOPOLOGY", help="File or bundled name."),
    ] = None,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    database: Annotated[str | None, typer.Option(metavar="URL", help="SQLAlchemy URL of the store.")] = None,
    rest_host: Annotated[str | None, typer.Option(help="Address REST listens on.")] = None,
    rest_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free port.")] = None,
    openflow_host: Annotated[str | None, typer.Option(help="Address switches connect to.")] = None,
    openflow_port: Annotated[int | None, typer.Option(min=0, max=65535)] = None,
    ovsdb: Annotated[str | None, typer.Option(metavar="REMOTE", help="Such as tcp:127.0.0.1:6640.")] = None,
    simulate: Annotated[bool, typer.Option("--simulate", help="No switches: a flow-table simulator.")] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option("--allowed-host", help="Further Host names to answer to. Repeatable.")
    ] = None,
    insecure_no_auth: Annotated[
        bool, typer.Option("--insecure-no-auth", help="Let REST listen beyond this machine, without authentication.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run carelane: REST, planner, controller and store in one process. Options may be CARELANE_* variables."""
    from carelane.cli._up import Overrides, run_up

    raise typer.Exit(
        run_up(
            Overrides(
                topology=topology,
                default_capacity=default_capacity,
                default_availability=default_availability,
                database=database,
                rest_host=rest_host,
                rest_port=rest_port,
                openflow_host=openflow_host,
                openflow_port=openflow_port,
                ovsdb=ovsdb,
                log_level=log_level,
                allowed_hosts=",".join(allowed_host) if allowed_host else None,
            ),
            simulate=simulate,
            insecure_no_auth=insecure_no_auth,
        )
    )


@app.command()
def schema() -> None:
    """Print the JSON Schema of manifests, for editors and other programs."""
    from carelane.cli._offline import run_schema

    raise typer.Exit(run_schema())


@app.command()
def catalogue(output: Output = "table") -> None:
    """List the services that can be asked for, with their defaults and where each default comes from."""
    from carelane.cli._offline import run_catalogue

    raise typer.Exit(run_catalogue(output=output))


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
            "--paths", metavar="NODE,NODE,...", help="A path; NODE@LINK,NODE names a parallel link. Repeatable."
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


@topology_app.command("show")
def topology_show(
    topology: TopologyFile,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Print nodes, links and endpoints as carelane understood them."""
    from carelane.cli._offline import run_topology_show
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_show(network, output=output))


@topology_app.command("check")
def topology_check(
    topology: TopologyFile,
    default_capacity: Capacity = None,
    default_availability: Availability = None,
    output: Output = "table",
) -> None:
    """Say what the topology cannot promise: missing figures, cut-off parts, single points of failure.

    Exit 0 when every promise can be computed, 1 when something is missing, 2 when it does not load.
    """
    from carelane.cli._offline import run_topology_check
    from carelane.cli._sources import load_network

    network = load_network(topology, default_capacity, default_availability)
    raise typer.Exit(run_topology_check(network, output=output))


@lab_app.command("run")
def lab_run(
    scenario: Annotated[str, typer.Argument(help="A name from `carelane lab list`.")],
    report: Annotated[Path, typer.Option("--report", metavar="DIR", help="Where the report goes.")],
    substrate: Substrate = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the traffic models.")] = 1,
) -> None:
    """Boot the lab, run a scenario, measure, tear down. Exit 1 when a promise was broken."""
    from carelane.cli._lab import run_scenario

    raise typer.Exit(run_scenario(scenario, report, substrate, seed))


@lab_app.command("list")
def lab_list() -> None:
    """List scenarios."""
    from carelane.cli._lab import list_scenarios

    raise typer.Exit(list_scenarios())


@lab_app.command("shell")
def lab_shell(substrate: Substrate = "auto") -> None:
    """Boot a small network and open a prompt in it."""
    from carelane.cli._lab import open_shell

    raise typer.Exit(open_shell(substrate))
