"""The parts of a detector with weights: pyramid, proposal network, heads."""
