"""What a network costs: parameters and FLOPs, layer by layer."""
