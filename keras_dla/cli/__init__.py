"""The command line `keras-dla`, also `python -m keras_dla`.

Importing this module imports no Keras; each command imports what it needs when it runs.
"""

from keras_dla.cli.program import main

__all__ = ["main"]
