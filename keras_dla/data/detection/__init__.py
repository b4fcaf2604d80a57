"""Images with boxes and masks: COCO files, tensorflow-datasets, made-up shapes."""
