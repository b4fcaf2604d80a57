"""What a command tells while it works."""

import sys


def tell(text: str) -> None:
    """Writes a line to standard error, so that standard output holds the result alone."""
    print(text, file=sys.stderr, flush=True)
