"""Where the command `keras-dla` begins: Ctrl-C is one line while the packages are imported too.

It stands beside the package because whatever stands in it is imported after Keras.
"""

import sys

INTERRUPTED = 130


def main() -> int:
    """Runs the command line; returns its exit status, as `keras_dla.cli.main` does."""
    try:
        from keras_dla.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("keras-dla: interrupted.", file=sys.stderr)
        return INTERRUPTED
