"""Attention scores between layers, class activation maps, and the costs of models.

Importing this module imports no matplotlib; the functions that draw import it when called.
"""

import keras_dla.utils.needs_keras as _needs_keras  # noqa: F401
from keras_dla.analysis.attention_scores import AttentionScores, attention_scores
from keras_dla.analysis.complexity.complexity import complexity
from keras_dla.analysis.complexity.complexity_report import Complexity, LayerComplexity
from keras_dla.analysis.explorer.explore import explore
from keras_dla.analysis.feature_scales import feature_scales
from keras_dla.analysis.figure_2 import figure_2
from keras_dla.analysis.figure_4 import figure_4
from keras_dla.analysis.grad_cam import class_activation_maps
from keras_dla.analysis.paper.paper_tables import paper_table
from keras_dla.analysis.plots.plot_attention import plot_attention
from keras_dla.analysis.plots.plot_class_activation import plot_class_activation
from keras_dla.analysis.plots.plot_confusion import plot_confusion
from keras_dla.analysis.plots.plot_depths import plot_depths
from keras_dla.analysis.plots.plot_detections import plot_detections
from keras_dla.analysis.plots.plot_precision_recall import plot_precision_recall
from keras_dla.analysis.plots.plot_predictions import plot_predictions

__all__ = [
    "AttentionScores",
    "Complexity",
    "LayerComplexity",
    "attention_scores",
    "class_activation_maps",
    "complexity",
    "explore",
    "feature_scales",
    "figure_2",
    "figure_4",
    "paper_table",
    "plot_attention",
    "plot_class_activation",
    "plot_confusion",
    "plot_depths",
    "plot_detections",
    "plot_precision_recall",
    "plot_predictions",
]
