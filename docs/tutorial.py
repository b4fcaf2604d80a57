# %% [markdown]
# # Tutorial
#
# From photographs to a trained network whose layers talk, a look at what they say, and a way of
# talking of your own. It runs from top to bottom on any backend and downloads nothing; on a CPU
# it took one minute of computing under PyTorch and TensorFlow, and two under JAX, which compiles.
# `docs/tutorial.py` is the same text as a script with cells: open it in an editor that knows
# `# %%`, or run it:
#
#     KERAS_BACKEND=torch python docs/tutorial.py
#
# The pictures need matplotlib (`plot` among the extras).

# %%
import time

import keras
import numpy as np

import keras_dla
from keras_dla.analysis import attention_scores, plot_attention
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
# 840 single blood cells to learn from and 198, of other photographs, to test with: red cells,
# white cells and platelets, a third each. `ArrayDataset` makes batches of them that are
# shuffled, cropped, flipped and normalised in the same way on every backend.

# %%
train_pictures, test_pictures = load_blood_cells()
normal = {"mean": BLOOD_CELL_MEAN, "std": BLOOD_CELL_STD}
train = ArrayDataset(*train_pictures, batch_size=28, seed=0, **normal)
test = ArrayDataset(*test_pictures, batch_size=198, augment=False, shuffle=False, **normal)
test_images, test_labels = test[0]
print(len(train), "batches of", train[0][0].shape, "and the classes", BLOOD_CELL_CLASSES)

# %% [markdown]
# ## A network whose layers talk
#
# A CIFAR ResNet of 20 layers: three stages of two blocks. In each stage the second block reads the
# first by dynamic layer attention, here in its base version (DLA-B).

# %%
recipe = Recipe(
    name="tutorial",
    epochs=4,
    batch_size=28,
    learning_rate=0.05,
    momentum=0.9,
    weight_decay=1e-4,
    milestones=(3,),
    warmup_epochs=1,
)


def trained(model):
    """Trains a model by the recipe, and tells how many test photographs it gets right."""
    compile_model(model, recipe, steps_per_epoch=len(train))
    model.fit(train, epochs=recipe.epochs, shuffle=False, verbose=0)
    probabilities = model.predict(test_images, batch_size=66, verbose=0)
    right = probabilities.argmax(axis=-1) == test_labels
    print(f"{model.name}: {right.mean():.1%} of {len(right)} test photographs are right")
    return model, probabilities


dla, _ = trained(keras_dla.models.ResNet(20, "dla_b", classes=3, name="dla"))

# %% [markdown]
# ## What the layers read
#
# `attention_scores` runs the model and returns, for each stage, an array
# `[images, heads, layers, layers]`: a row is the layer that asks, a column the layer that it reads.
# A row is a softmax and sums to 1. Besides, DLA refreshes the values of old layers: each channel is
# multiplied by a scale before it is read. `scores.weights` holds the scores times these scales, and
# the figure shows them. (In the light version, `"dla_l"`, the layers share one running map; its
# scores are an approximation, and every figure of it says so.)

# %%
some = slice(None, None, 3)
scores = attention_scores(dla, test_images[some], batch_size=66)
for stage, array in scores.items():
    row, scaled = (x.mean(axis=(0, 1))[1].round(2) for x in (array, scores.weights[stage]))
    print(stage, array.shape, "the second block reads", row, "and gets", scaled)
plot_attention(scores, "tutorial_attention.png", title="What the blocks of each stage read")

# %% [markdown]
# The scores depend on the image. Do they differ between the classes?
# In a short training with one seed, take the answer for an example of a question.

# %%
own = scores["stage3_interaction"][:, :, 1, 1].mean(axis=1)
for number, name in enumerate(BLOOD_CELL_CLASSES):
    share = own[test_labels[some] == number]
    print(f"{name}: the last block reads {share.mean():.2f} +- {share.std():.2f} of itself")

# %% [markdown]
# ## A way of talking of your own
#
# The network's builder knows no names, only two protocols ([Extend](extending.md)). A layer
# interaction is called behind each block with what the call before returned. In this one, a
# block's channels are turned up or down by what all the blocks so far have seen: a gate for
# each channel, made of the running mean of their pooled features.


# %%
@keras.saving.register_keras_serializable(package="tutorial")
class SharedGate(keras_dla.layers.LayerInteraction):
    """x^l <- x^l * (1 + tanh(a^l * mean of the pooled x^1 ... x^l)), a vector a^l a block."""

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
# ## Keep it
#
# A `.keras` file holds the network with your layer in it, and any backend can load it, where
# the class is known.

# %%
mine.save("mine.keras")
loaded = keras_dla.load_model("mine.keras")
after = loaded.predict(test_images, batch_size=66, verbose=0)
print(f"saved and loaded: the predictions differ by {np.abs(after - before).max():.0e};", end=" ")
print(f"{time.time() - started:.0f} s in all")
