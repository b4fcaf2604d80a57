"""Experiments: a network, a data set, a recipe, a seed and a backend, with a folder each."""
