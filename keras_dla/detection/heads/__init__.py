"""The trainable parts of a detector: pyramid, proposal network, heads."""
