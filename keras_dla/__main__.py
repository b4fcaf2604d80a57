"""`python -m keras_dla` is the command line `keras-dla`."""

import sys

from keras_dla.cli import main

if __name__ == "__main__":
    sys.exit(main())
