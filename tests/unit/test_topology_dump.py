"""A topology written back is the same topology."""

from __future__ import annotations

import pytest
import yaml

from carelane.topology import BUNDLED, load_topology, parse_topology
from carelane.topology.dump import to_manifest


@pytest.mark.parametrize("name", sorted(BUNDLED))
def test_a_written_topology_reads_back_equal(name: str) -> None:
    topology = load_topology(name)
    again = parse_topology(yaml.safe_dump(to_manifest(topology), allow_unicode=True, sort_keys=False))
    assert (again.name, again.nodes, again.links) == (topology.name, topology.nodes, topology.links)
    assert (again.endpoints, again.risk_groups) == (topology.endpoints, topology.risk_groups)
