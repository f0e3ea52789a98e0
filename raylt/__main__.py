"""`python -m raylt` is `raylt`."""

from raylt.cli import main

main()
