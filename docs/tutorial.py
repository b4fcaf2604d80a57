# %% [markdown]
# # Tutorial
#
# Train a network whose layers read each other on a few photographs, see what they read, and write
# an interaction of your own. The tutorial runs on any backend, takes a few minutes on a CPU, and
# downloads nothing. It needs the extra `plot`.
#
# This page is a notebook with its outputs. Download [tutorial.ipynb](tutorial.ipynb) and open it in
# Jupyter, or upload it to a notebook service and add a first cell that installs the package.
# `docs/tutorial.py` is the same as a script:
#
#     KERAS_BACKEND=torch python docs/tutorial.py

# %%
# %matplotlib inline
import time

import keras
import numpy as np

import keras_dla
from keras_dla.analysis import (
    attention_scores,
    class_activation_maps,
    plot_attention,
    plot_class_activation,
)
from keras_dla.data import (
    BLOOD_CELL_CLASSES,
    BLOOD_CELL_MEAN,
    BLOOD_CELL_STD,
    ArrayDataset,
    load_blood_cells,
)
from keras_dla.training import Recipe, compile_model

started = time.time()
keras.utils.set_random_seed(0)

# %% [markdown]
# ## The photographs
#
# 840 images of single blood cells for training, and 198 from other photographs for testing: red
# cells, white cells and platelets, a third each. `ArrayDataset` makes batches of them, which are
# shuffled, cropped, flipped and normalised in the same way on every backend.

# %%
train_images_and_labels, test_images_and_labels = load_blood_cells()
normal = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD}
train = ArrayDataset(*train_images_and_labels, batch_size=28, seed=0, **normal)
test = ArrayDataset(*test_images_and_labels, batch_size=198, augment=False, shuffle=False, **normal)
test_images, test_labels = test[0]
print(len(train), "batches of", train[0][0].shape, "and the classes", BLOOD_CELL_CLASSES)

# %% [markdown]
# ## A network with layer attention
#
# A residual network for small images, with three stages of two, two and six blocks. In each stage,
# every block reads the blocks before it through dynamic layer attention, in its base version
# (DLA-B).

# %%
recipe = Recipe(
    name="tutorial",
    epochs=4,
    batch_size=28,
    learning_rate=0.02,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(3,),
    warmup_epochs=1,
)


def trained(model):
    """Trains a model by the recipe, and tells how many test photographs it gets right."""
    compile_model(model, recipe, steps_per_epoch=len(train))
    model.fit(train, epochs=recipe.epochs, shuffle=False, verbose=2)
    probabilities = model.predict(test_images, batch_size=66, verbose=0)
    right = probabilities.argmax(axis=-1) == test_labels
    print(f"{model.name}: {right.mean():.1%} of {len(right)} test photographs are right")
    return model, probabilities


dla, _ = trained(keras_dla.models.ResNet((2, 2, 6), "dla_b", classes=3, name="dla"))

# %% [markdown]
# ## Attention scores: which layers read which
#
# `attention_scores` runs the model and returns an array `[images, heads, layers, layers]` for each
# stage. A row is a query layer, a column a key layer that it reads. Each row is a softmax and
# sums to 1. DLA also multiplies each channel of an earlier layer by a scale before it is read.
# `scores.weights` has the scores times these scales, which the plot shows. (In the light version,
# `"dla_l"`, the layers share a single map. Its scores are only an approximation, and every plot of
# them says so.)

# %%
some = slice(None, None, 3)
scores = attention_scores(dla, test_images[some], batch_size=66)
last = scores.weights["stage3_interaction"].mean(axis=(0, 1))[-1]
print("the sixth block of stage 3 reads", last.round(2))
plot_attention(scores, "tutorial_attention.png", title="What the blocks of each stage read")

# %% [markdown]
# In the run shown here, blocks 3 to 5 of the third stage read block 2, but less of it from block to
# block, because DLA scales its values down each time. Block 6 reads itself.
#
# Does it depend on the image what a block reads? Here is how much the last block reads itself, by
# class: the mean and the standard deviation over images. This is a short training with one seed, so
# the numbers are only an example of how to ask such a question.

# %%
own = scores["stage3_interaction"][:, :, -1, -1].mean(axis=1)
for number, name in enumerate(BLOOD_CELL_CLASSES):
    share = own[test_labels[some] == number]
    print(f"{name}: the last block reads {share.mean():.3f} +- {share.std():.3f} of itself")

# %% [markdown]
# ## Class activation maps
#
# Grad-CAM shows which parts of an image support the predicted class.

# %%
shown = slice(None, None, 40)
maps = class_activation_maps(dla, test_images[shown])
plot_class_activation(
    test_images_and_labels[0][shown],
    maps,
    classes=dla.predict(test_images[shown], verbose=0).argmax(axis=-1),
    class_names=BLOOD_CELL_CLASSES,
)

# %% [markdown]
# ## An interaction of your own
#
# The builder accepts any layer that follows one of two protocols ([Extend](extending.md)). A layer
# interaction is called after each block, with the state that the previous call returned. The one
# below scales the channels of a block by what all blocks so far have seen: it computes a gate for
# each channel from the running mean of their pooled features.


# %%
@keras.saving.register_keras_serializable(package="tutorial")
class SharedGate(keras_dla.layers.LayerInteraction):
    """x^l <- x^l * (1 + tanh(a^l * mean of the pooled x^1 ... x^l)), a vector a^l per block."""

    def build(self, features_shape, state_shape=None, shortcut_shape=None):
        channels = self.build_channels(features_shape)
        self.channels_last = self.data_format == "channels_last"
        shape = (channels,) if self.channels_last else (channels, 1, 1)
        self.strengths = [
            self.add_weight(name=f"strength_{index}", shape=shape, initializer="zeros")
            for index in range(self.depth)
        ]

    def call(self, features, state=None, shortcut=None, index=0):
        self.check_call(features, state, shortcut, index)
        x = self.merge(features, shortcut)
        axes = (1, 2) if self.channels_last else (2, 3)
        pooled = keras.ops.mean(x, axis=axes, keepdims=True)
        mean = pooled if index == 0 else state + (pooled - state) / (index + 1)
        return x * (1 + keras.ops.tanh(self.strengths[index] * mean)), mean

    def state_spec(self, features, state, shortcut, index):
        batch, channels = features.shape[0], (self.channels,)
        shape = (1, 1, *channels) if self.channels_last else (*channels, 1, 1)
        return keras.KerasTensor((batch, *shape), self.compute_dtype)


gated = keras_dla.models.ResNet(20, SharedGate(depth=1), classes=3, name="mine")
mine, before = trained(gated)

# %% [markdown]
# ## Save and load
#
# A `.keras` file contains the network with your layer in it. Any backend can load it, if the class
# is registered.

# %%
mine.save("mine.keras")
loaded = keras_dla.load_model("mine.keras")
after = loaded.predict(test_images, batch_size=66, verbose=0)
print(f"saved and loaded: the predictions differ by {np.abs(after - before).max():.0e};", end=" ")
print(f"{time.time() - started:.0f} s in all")
