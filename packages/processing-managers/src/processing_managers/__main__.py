"""The command line: ``python -m processing_managers serve`` and ``inspect``."""

from __future__ import annotations

import sys

from processing_managers._cli import main

if __name__ == "__main__":
    sys.exit(main())
