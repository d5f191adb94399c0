"""`python -m skill_tools.workers.labeling`."""

import sys

from skill_tools.workers.labeling.cli import main

if __name__ == "__main__":
    sys.exit(main())
