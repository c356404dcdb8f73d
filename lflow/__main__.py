"""`python -m lflow`: the command line. Knows nothing but where it is."""

from lflow.cli import main

raise SystemExit(main())
