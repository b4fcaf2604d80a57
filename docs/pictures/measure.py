"""Trains MRLA-B-56 and DLA-B-56 on the bundled photographs, and keeps what `draw.py` shows.

KERAS_BACKEND=torch python docs/pictures/measure.py        (six minutes on one core)
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
DEPTH = 56
RECIPE = dataclasses.replace(CIFAR.scaled(8), batch_size=28, learning_rate=0.01, warmup_epochs=2)
NORMAL = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD, "data_format": "channels_last"}


def main():
    train_images, (test_images, test_labels) = load_blood_cells()
    train_set = ArrayDataset(*train_images, batch_size=RECIPE.batch_size, seed=0, **NORMAL)
    test_set = ArrayDataset(
        test_images, test_labels, batch_size=198, augment=False, shuffle=False, **NORMAL
    )
    images = test_set[0][0]
    kept = {}
    for kind, interaction in (("static", "mrla_b"), ("dynamic", "dla_b")):
        model = train(interaction, train_set)
        kept[f"{kind}_accuracy"] = np.mean(
            model.predict(images, verbose=0).argmax(axis=-1) == test_labels
        )
        scores = attention_scores(model, images)
        for number in (1, 3):
            stage = f"stage{number}_interaction"
            weights = scores.weights[stage].mean(axis=1)
            kept[f"{kind}_scores_{number}"] = scores[stage].mean(axis=(0, 1))
            kept[f"{kind}_weights_{number}"] = weights.mean(axis=0)
            kept[f"{kind}_spread_{number}"] = weights.std(axis=0)
        print(f"{interaction}: test accuracy {kept[f'{kind}_accuracy']:.1%}", flush=True)
    kept["left"] = left_of_features(feature_scales(model, images)["stage3_interaction"])
    shown = np.flatnonzero(test_labels == 1)[:1]
    kept["maps"] = maps_of_stage(model, images[shown])[0]
    small = {name: np.asarray(array, "float32") for name, array in kept.items()}
    np.savez_compressed(MEASURED, image=test_images[shown[0]], **small)


def train(interaction, train_set):
    """Returns a trained network of the paper's depth 56: six blocks in each of three stages."""
    keras.utils.set_random_seed(0)
    model = ResNet(DEPTH, interaction, classes=3, data_format="channels_last")
    compile_model(model, RECIPE, steps_per_epoch=len(train_set))
    model.fit(train_set, epochs=RECIPE.epochs, shuffle=False, verbose=2)
    return model


def maps_of_stage(model, images):
    """Returns the mean over channels of what each block of stage 1 hands on."""
    nexts = [model.get_layer(f"stage1_block{block}_conv1").input for block in range(2, 7)]
    outputs = keras.Model(model.input, [*nexts, model.get_layer("stage1_output").output])
    return np.stack([np.mean(x, axis=-1) for x in outputs.predict(images, verbose=0)], axis=1)


def left_of_features(scales):
    """Returns by what layer m's values are multiplied when layer l reads them: the mean."""
    return np.cumprod(scales, axis=1).mean(axis=(0, 3))


if __name__ == "__main__":
    main()
