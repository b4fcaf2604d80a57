"""What the layers of a stage read of each other, where a model looks, and what it costs.

Importing this module imports no matplotlib; the functions that draw import it when called.
"""

from keras_dla.analysis.attention_scores import attention_scores
from keras_dla.analysis.complexity import complexity
from keras_dla.analysis.complexity_report import Complexity, LayerComplexity
from keras_dla.analysis.feature_scales import feature_scales
from keras_dla.analysis.grad_cam import class_activation_maps
from keras_dla.analysis.paper_tables import paper_table
from keras_dla.analysis.plot_attention import plot_attention
from keras_dla.analysis.plot_class_activation import plot_class_activation
from keras_dla.analysis.plot_detections import plot_detections
from keras_dla.analysis.plot_predictions import plot_predictions

__all__ = [
    "Complexity",
    "LayerComplexity",
    "attention_scores",
    "class_activation_maps",
    "complexity",
    "feature_scales",
    "paper_table",
    "plot_attention",
    "plot_class_activation",
    "plot_detections",
    "plot_predictions",
]
