"""Every command with its options, a module by subject.

Bodies only import what they run, so that starting costs next to nothing. A new command goes at the end of the module
of its subject, as `@app.command()` over a function that imports its `carelane.cli._yourcommand`; a new subject is one
more module here. The order of the imports is the order in `carelane --help`.
"""

from __future__ import annotations

# isort: off
from carelane.cli._commands._app import app
from carelane.cli._commands import plan as plan
from carelane.cli._commands import intents as intents
from carelane.cli._commands import proofs as proofs
from carelane.cli._commands import network as network
from carelane.cli._commands import server as server
from carelane.cli._commands import pki as pki
from carelane.cli._commands import probe as probe
from carelane.cli._commands import topology as topology
from carelane.cli._commands import lab as lab
from carelane.cli._commands import machine as machine
# isort: on

__all__ = ["app"]
