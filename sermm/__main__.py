"""`python -m sermm` is the `sermm` command."""

import sys

from sermm.cli.main import main

# The processes of a sweep import this file, under another name.
if __name__ == "__main__":
    sys.exit(main())
