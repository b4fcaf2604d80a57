"""The bundled images of blood cells, for a first training without a download."""

from importlib import resources

import numpy as np

BLOOD_CELL_CLASSES = ("red blood cell", "white blood cell", "platelet")

# Mean and deviation of the training images, to four decimals.
BLOOD_CELL_MEAN = (0.7243, 0.6904, 0.7388)
BLOOD_CELL_STD = (0.0774, 0.1143, 0.0687)


def load_blood_cells() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Loads 840 training and 198 test images of single blood cells, a third of each class.

    The images are cut from the photographs of the BCCD data set (MIT licence, copyright 2017
    shenggan; see `blood_cells.LICENSE.txt` beside the data). No photograph contributes to both
    parts. An image is the square around a cell, resized to 32 x 32 pixels, so a platelet is
    magnified more than a white blood cell. `tests/data/make_blood_cells.py` made the file.

    Returns:
        A pair of pairs `(x_train, y_train), (x_test, y_test)`: uint8 images
        `(size, 32, 32, 3)` and int64 labels `(size,)`, indices into `BLOOD_CELL_CLASSES`.

    Example:
    >>> from keras_dla.data import BLOOD_CELL_CLASSES, load_blood_cells
    >>> (x_train, y_train), (x_test, y_test) = load_blood_cells()
    >>> x_train.shape, x_test.shape
    ((840, 32, 32, 3), (198, 32, 32, 3))
    >>> BLOOD_CELL_CLASSES[y_train[0]]
    'red blood cell'
    """
    path = resources.files("keras_dla.data").joinpath("blood_cells.npz")
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        train, test = (
            (archive[f"x_{part}"], archive[f"y_{part}"].astype("int64"))
            for part in ("train", "test")
        )
        return train, test
