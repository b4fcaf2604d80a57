"""Tensor functions that choose the fastest form for the backend and its device."""
