"""Layers that carry a state from block to block of a stage (Eq. 1-6)."""
