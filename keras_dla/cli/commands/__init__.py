"""The commands of `keras-dla`, one per file."""
