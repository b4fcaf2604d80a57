"""Compares a ResNet-50 of keras.applications with ours, given the same weights.

    KERAS_BACKEND=torch python benchmarks/stride_of_applications.py

The two differ in the place of the stride alone: in keras.applications it is in the first 1x1
convolution of a stage; in ours, torchvision's, timm's and KerasHub's it is in the 3x3 convolution.
Prints the largest difference for every stage and for the logits, relative to the largest entry.
This is why `keras_dla.interop.load_pretrained_resnet` refuses networks of keras.applications.
"""

import keras
import numpy as np

from keras_dla.models import ResNet
from keras_dla.utils.names import IMAGENET_DEPTHS

# By the numbers of their convolutions, what ours are called.
PARTS = (("downsample_conv", "downsample_bn"), ("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))
BLOCKS = IMAGENET_DEPTHS[50]


def applications_resnet():
    """Returns their ResNet-50 with weights and statistics as after a training."""
    network = keras.applications.ResNet50(weights=None, classifier_activation=None, classes=10)
    rng = np.random.default_rng(0)
    for weight in network.weights:
        shape = tuple(weight.shape)
        if len(shape) > 1:
            value = rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape)
        elif weight.name in ("gamma", "moving_variance"):
            value = rng.uniform(0.5, 1.5, shape)
        else:
            value = rng.normal(0, 0.2, shape)
        weight.assign(value.astype("float32"))
    return network


def copy_convolution(theirs, ours, norm_of_theirs, norm_of_ours):
    """Ours has no biases: theirs go into the mean of the BN behind."""
    kernel, bias = theirs.get_weights()
    ours.set_weights([kernel])
    gamma, beta, mean, variance = norm_of_theirs.get_weights()
    norm_of_ours.set_weights([gamma, beta, mean - bias, variance])


def copy_weights(theirs, ours):
    layer, own = theirs.get_layer, ours.get_layer
    copy_convolution(layer("conv1_conv"), own("stem_conv1"), layer("conv1_bn"), own("stem_bn1"))
    for stage, blocks in enumerate(BLOCKS, start=1):
        for block in range(1, blocks + 1):
            one, other = f"conv{stage + 1}_block{block}", f"stage{stage}_block{block}"
            for number, (convolution, norm) in enumerate(PARTS):
                if number > 0 or block == 1:
                    copy_convolution(
                        layer(f"{one}_{number}_conv"),
                        own(f"{other}_{convolution}"),
                        layer(f"{one}_{number}_bn"),
                        own(f"{other}_{norm}"),
                    )
    own("classifier").set_weights(layer("predictions").get_weights())


def main():
    theirs = applications_resnet()
    ours = ResNet(50, None, 10, stem="imagenet", classifier_activation=None)
    copy_weights(theirs, ours)
    images = np.random.default_rng(1).normal(size=(2, *theirs.input_shape[1:])).astype("float32")
    names = [(f"conv{s + 1}_block{b}_out", f"stage{s}_output") for s, b in enumerate(BLOCKS, 1)]
    names.append(("predictions", "classifier"))
    for one, other in names:
        left, right = (
            keras.Model(network.input, network.get_layer(name).output).predict(images, verbose=0)
            for network, name in ((theirs, one), (ours, other))
        )
        print(f"{other:15} {np.abs(left - right).max() / np.abs(left).max():.2g}", flush=True)


if __name__ == "__main__":
    main()
