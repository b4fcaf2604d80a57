"""Tensor functions that choose the form for the backend and its device."""
