"""`python -m carelane` is `carelane`."""

from __future__ import annotations

from carelane.cli import main

if __name__ == "__main__":
    main()
