"""`python -m agentlab` is the command `agentlab`."""

import sys

from agentlab.cli import main

if __name__ == "__main__":
    sys.exit(main())
