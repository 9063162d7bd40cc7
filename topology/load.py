"""Reading a topology: a file or a bundled name, YAML or GraphML."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from carelane.documents import MAX_BYTES, load_documents, read_bounded
from carelane.errors import InputError
from carelane.topology.drafts import Defaults
from carelane.topology.graphml import from_graphml
from carelane.topology.manifest import from_documents
from carelane.topology.model import Topology

__all__ = ["BUNDLED", "load_topology", "parse_topology"]

BUNDLED = {
    "cernet": "cernet.graphml",
    "gaotai": "gaotai.yaml",
    "telesurgery-3700km": "telesurgery-3700km.yaml",
    "zhoushan": "zhoushan.yaml",
}
"""Names that stand for data files of the package, see topology/data/README.md."""


def load_topology(
    source: str | Path, *, default_capacity_bps: int | None = None, default_availability: float | None = None
) -> Topology:
    """The topology of a file, or of a bundled name (`BUNDLED`); write ``./zhoushan`` for a file of such a name.

    The defaults fill in what the file does not say about links, nodes and endpoints; without them it stays unknown.
    Raises InputError.
    """
    defaults = Defaults(default_capacity_bps, default_availability)
    if isinstance(source, str) and source in BUNDLED:
        name = BUNDLED[source]
        return _parse((files("carelane.topology") / "data" / name).read_bytes(), name, defaults)
    path = Path(source)
    if not path.exists():
        known = f"a YAML or GraphML file, or one of {', '.join(BUNDLED)}"
        raise InputError("no such topology file", str(source), expected=known)
    return _parse(read_bounded(path, "topology"), str(path), defaults)


def parse_topology(
    data: bytes | str,
    file: str = "<text>",
    *,
    default_capacity_bps: int | None = None,
    default_availability: float | None = None,
) -> Topology:
    """The topology in YAML or GraphML text; `file` names it in errors. Raises InputError."""
    return _parse(data, file, Defaults(default_capacity_bps, default_availability))


def _parse(data: bytes | str, file: str, defaults: Defaults) -> Topology:
    content = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    if len(content) > MAX_BYTES:
        expected = f"at most {MAX_BYTES} bytes"
        raise InputError(f"the text is larger than {MAX_BYTES // 2**20} MiB", file, expected=expected)
    start = content[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<") or file.lower().endswith(".graphml"):
        return from_graphml(content, file, defaults)
    return from_documents(load_documents(content, file), file, defaults)
