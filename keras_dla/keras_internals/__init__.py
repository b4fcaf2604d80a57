"""Every name that Keras does not promise, each behind a small function."""
