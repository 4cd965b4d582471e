"""``python -m residency.cli``."""

from residency.cli.invoke import main

main()
