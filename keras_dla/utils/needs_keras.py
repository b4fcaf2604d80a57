"""Imported first by every room that needs Keras: raises one sentence if Keras has no backend."""

from keras_dla.utils.backends import check_keras

check_keras()
