"""`python -m bulk`: the same as `bulk`."""

from __future__ import annotations

import sys

from bulk.cli import main

if __name__ == "__main__":
    sys.exit(main())
