"""``python -m residency.cli``."""

from residency.cli import main

main()
