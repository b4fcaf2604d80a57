"""Convolutions, batch normalisation and drop path, as every network uses them."""
