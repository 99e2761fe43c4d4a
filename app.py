"""Start the app as a Hugging Face Space does, or by `python app.py`: `musetalk app` of a checkout."""

from __future__ import annotations

import sys

from musetalk.cli.main import main

if __name__ == "__main__":
    main(["app", *sys.argv[1:]])
