"""``python -m ratelab`` is the same as ``ratelab``."""

import sys

from ratelab.cli import main

if __name__ == "__main__":
    sys.exit(main())
