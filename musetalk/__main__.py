"""`python -m musetalk`."""

import gc

gc.disable()  # until a command begins, see `main`: imports make much that stays, and nothing that dies

from musetalk.cli.main import main  # noqa: E402

main()
