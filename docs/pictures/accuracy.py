"""Draws the test accuracy of our runs after every epoch, from their logs.

KERAS_BACKEND=torch python docs/pictures/accuracy.py
"""

import csv

import matplotlib
from draw import BLUE, FOLDER, GREEN, GREY, ORANGE, STYLE, new, save
from matplotlib.ticker import MaxNLocator

RUNS = FOLDER.parent / "results" / "cifar100-30-epochs"
NETWORKS = {
    "resnet_20": ("ResNet-20", GREY, "-"),
    "mrla_l_20": ("MRLA-L-20", BLUE, "--"),
    "dla_l_20": ("DLA-L-20", ORANGE, "-"),
    "dla_b_20": ("DLA-B-20", GREEN, "--"),
}


def accuracies(network):
    """Returns the test accuracy in percent after every epoch, of the run with seed 0."""
    path = RUNS / f"cifar100-{network}-official-0" / "log.csv"
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [100 * float(row["val_accuracy"]) for row in csv.DictReader(file)]


def main():
    matplotlib.rcParams.update(STYLE)
    figure, axes = new(3.2)
    axis = axes[0, 0]
    for network, (label, colour, style) in NETWORKS.items():
        reached = accuracies(network)
        if reached:
            epochs = range(1, len(reached) + 1)
            axis.plot(epochs, reached, color=colour, linestyle=style, label=label)
    axis.set(xlabel="epoch", ylabel="test accuracy (%)", title="CIFAR-100, 30 epochs, one seed")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    save(figure, "accuracy")


if __name__ == "__main__":
    main()
