"""Trains two networks on the embedded photographs and keeps what `draw.py` shows of them.

KERAS_BACKEND=torch python docs/pictures/measure.py        (ten minutes on two busy cores)
"""

import dataclasses
from pathlib import Path

import keras
import numpy as np

from keras_dla.analysis import attention_scores, feature_scales
from keras_dla.data import BLOOD_CELL_MEAN, BLOOD_CELL_STD, ArrayDataset, load_blood_cells
from keras_dla.models import ResNet
from keras_dla.training import CIFAR, compile_model

MEASURED = Path(__file__).with_name("measured.npz")
RECIPE = dataclasses.replace(CIFAR.scaled(4), batch_size=28, learning_rate=0.05, warmup_epochs=1)
NORMAL = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD, "data_format": "channels_last"}
STAGE = "stage3_interaction"


def train(interaction, train_set):
    """Returns a trained ResNet-56 with six blocks a stage."""
    keras.utils.set_random_seed(0)
    model = ResNet(56, interaction, classes=3, data_format="channels_last")
    compile_model(model, RECIPE, steps_per_epoch=len(train_set))
    model.fit(train_set, epochs=RECIPE.epochs, shuffle=False, verbose=2)
    return model


def maps_of_stage(model, images):
    """Returns the mean over channels of what each block of stage 1 hands on."""
    nexts = [model.get_layer(f"stage1_block{block}_conv1").input for block in range(2, 7)]
    outputs = keras.Model(model.input, [*nexts, model.get_layer("stage1_output").output])
    return np.stack([np.mean(x, axis=-1) for x in outputs.predict(images, verbose=0)], axis=1)


def main():
    train_images, (test_images, test_labels) = load_blood_cells()
    train_set = ArrayDataset(*train_images, batch_size=RECIPE.batch_size, seed=0, **NORMAL)
    every = ArrayDataset(
        test_images, test_labels, batch_size=198, augment=False, shuffle=False, **NORMAL
    )
    images = every[0][0]
    kept = {}
    for kind, interaction in (("static", "mrla_b"), ("dynamic", "dla_b")):
        model = train(interaction, train_set)
        right = model.predict(images, verbose=0).argmax(axis=-1) == test_labels
        scores = attention_scores(model, images)
        kept[f"{kind}_accuracy"] = right.mean()
        kept[f"{kind}_scores"] = scores[STAGE].mean(axis=(0, 1))
        print(f"{interaction}: test accuracy {right.mean():.1%}")
    kept["first_scores"] = scores["stage1_interaction"].mean(axis=(0, 1))
    kept["left"] = left_of_features(feature_scales(model, images)[STAGE])
    shown = np.flatnonzero(test_labels == 1)[:1]
    kept["picture"] = test_images[shown[0]]
    kept["maps"] = maps_of_stage(model, images[shown])[0]
    small = {name: np.asarray(array, "float32") for name, array in kept.items()}
    small["picture"] = kept["picture"]
    np.savez_compressed(MEASURED, **small)


def left_of_features(scales):
    """Returns by what layer m's values are multiplied when layer l reads them: the mean."""
    return np.cumprod(scales, axis=1).mean(axis=(0, 3))


if __name__ == "__main__":
    main()
