"""Entry point: ``python -m carelane.lab.agent``, started by the substrate inside the cell or the lab kernel."""

from __future__ import annotations

from carelane.lab.agent.server import serve

if __name__ == "__main__":
    serve()
