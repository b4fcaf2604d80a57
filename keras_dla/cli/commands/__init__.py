"""The commands of `keras-dla`, one a file."""
