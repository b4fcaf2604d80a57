"""Plots of attention scores, class activation maps, predictions and detections."""
