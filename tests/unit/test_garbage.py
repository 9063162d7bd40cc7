"""Long work puts the search for cyclic garbage off, and leaves no mountain for the next small piece of work."""

from __future__ import annotations

import gc

from carelane.controller.pipeline.garbage import no_collection


def test_what_long_work_keeps_is_not_young_afterwards():
    with no_collection():
        assert not gc.isenabled()
        kept = [[number] for number in range(300_000)]
    assert gc.isenabled()
    young = {id(item) for generation in (0, 1) for item in gc.get_objects(generation)}
    assert not any(id(item) in young for item in kept)


def test_work_inside_other_work_leaves_collection_to_the_outer_one():
    with no_collection():
        with no_collection():
            kept = [[number] for number in range(300_000)]
        assert not gc.isenabled()
        assert len(gc.get_objects(0)) >= len(kept)
    assert gc.isenabled()
