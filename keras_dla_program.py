"""The entry point of `keras-dla`, which makes Ctrl-C print one line even during imports.

It is outside the package because every module inside is imported after Keras.
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
