"""`python -m musetalk`."""

from musetalk.cli import main

main()
