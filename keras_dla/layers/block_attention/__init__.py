"""Layers that work inside one residual block."""
