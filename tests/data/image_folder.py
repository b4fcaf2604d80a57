"""A made data set in ImageNet's format: JPEG images of various sizes with a label each."""

import io

import numpy as np
import pytest

SIZES = {"train": 21, "validation": 7}
CLASSES = 10


def made_image(number):
    """A smooth random image, sometimes upright, sometimes wide; the numbers make them differ."""
    image = pytest.importorskip("PIL.Image")
    generator = np.random.default_rng(number)
    height, width = generator.integers(40, 160, 2)
    coarse = generator.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), "uint8")
    return image.fromarray(coarse).resize((int(width), int(height)), image.Resampling.BICUBIC)


def encoded(image, form="JPEG"):
    file = io.BytesIO()
    image.save(file, form)
    return file.getvalue()


def prepare_images(folder, name="Imagenet2012", sizes=SIZES, form="JPEG", features=None):
    """Lets tensorflow-datasets prepare images in `folder`; of class `number % CLASSES`."""
    pytest.importorskip("tensorflow")
    tfds = pytest.importorskip("tensorflow_datasets")
    features = features or {
        "image": tfds.features.Image(encoding_format=form.lower()),
        "label": tfds.features.ClassLabel(num_classes=CLASSES),
        "file_name": tfds.features.Text(),
    }

    def examples(self, size):
        del self
        for number in range(size):
            example = {
                "image": io.BytesIO(encoded(made_image(number), form)),
                "label": number % CLASSES,
                "file_name": f"{number}.{form}",
            }
            yield number, {key: example[key] for key in features}

    builder = type(
        name,
        (tfds.core.GeneratorBasedBuilder,),
        {
            "VERSION": tfds.core.Version("5.1.0"),
            "_info": lambda self: tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features)
            ),
            "_split_generators": lambda self, _: {
                split: self._generate_examples(size) for split, size in sizes.items()
            },
            "_generate_examples": examples,
        },
        skip_registration=True,  # so that another one can have the name
    )
    builder(data_dir=folder).download_and_prepare()
    return folder
