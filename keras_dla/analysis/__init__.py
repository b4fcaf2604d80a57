"""What the layers of a stage read of each other, as arrays and as pictures.

Importing this module imports no matplotlib; the functions that draw import it when called.
"""

from keras_dla.analysis.attention_scores import attention_scores
from keras_dla.analysis.feature_scales import feature_scales
from keras_dla.analysis.plot_attention import plot_attention
from keras_dla.analysis.plot_predictions import plot_predictions

__all__ = ["attention_scores", "feature_scales", "plot_attention", "plot_predictions"]
