"""`python -m sermm` is the `sermm` command."""

import sys

from sermm.cli.main import main

sys.exit(main())
