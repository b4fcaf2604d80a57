"""The arithmetic of detection: boxes, anchors, RoIAlign, non-maximum suppression."""
