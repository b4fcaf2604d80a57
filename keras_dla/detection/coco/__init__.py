"""COCO's evaluation of a detector."""
