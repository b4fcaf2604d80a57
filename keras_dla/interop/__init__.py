"""Weights from elsewhere."""

from keras_dla.interop.official_checkpoint import load_official_checkpoint

__all__ = ["load_official_checkpoint"]
