"""Options that several commands of `keras-dla` share."""
