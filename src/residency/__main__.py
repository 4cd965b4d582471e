"""``python -m residency``."""

from residency.cli.invoke import main

main()
