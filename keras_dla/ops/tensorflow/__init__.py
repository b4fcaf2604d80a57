"""TensorFlow's own forms of the functions in `keras_dla.ops`."""
