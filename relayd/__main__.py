"""`python -m relayd` is the same program as `relayd`."""

from __future__ import annotations

import sys

from relayd.cli import main

if __name__ == "__main__":
    sys.exit(main())
