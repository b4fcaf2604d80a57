"""The folder of a training run: lock, disk space, versions, logs."""
