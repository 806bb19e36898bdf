"""`python -m erasurehead_cli` is the `erasurehead` command."""

import sys

from erasurehead_cli.main import main

sys.exit(main())
