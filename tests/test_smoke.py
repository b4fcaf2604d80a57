"""Networks train, save and load: what must hold with the oldest and the newest Keras."""

import keras
import numpy as np
import pytest

import keras_dla
from tests.backends import all_on_pytorch

IMAGES = np.random.default_rng(0).standard_normal((6, 8, 8, 3)).astype("float32")
LABELS = np.arange(6) % 3


@pytest.mark.parametrize(
    "interaction", all_on_pytorch(["dla_l", "dla_b", "mrla_l", "dianet", "eca"], 2)
)
def test_network_trains_saves_and_loads(interaction, tmp_path):
    options = keras_dla.models.used_options(f"{interaction}_20", drop_path=0.2)
    sizes = {"classes": 3, "planes": (16,), "data_format": "channels_last"}
    model = keras_dla.models.ResNet((2,), interaction, **sizes, **options)
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(IMAGES, LABELS, batch_size=3, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert len(loaded.weights) == len(model.weights)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(loaded.predict(IMAGES, verbose=0), expected, rtol=1e-5, atol=1e-6)
