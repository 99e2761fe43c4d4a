"""`python -m musetalk`."""

from musetalk.cli.main import main

main()
