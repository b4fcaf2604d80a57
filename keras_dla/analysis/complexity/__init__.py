"""The parameters and FLOPs of a network, layer by layer."""
