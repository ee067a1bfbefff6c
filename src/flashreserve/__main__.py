"""`python -m flashreserve` is the `flashreserve` command."""

from flashreserve.cli.main import main

main()
