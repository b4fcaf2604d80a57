"""From which size on oneDNN is faster than what PyTorch chooses for a few images on one thread.

    python benchmarks/small_convolutions.py

Prints, for the convolutions of a CIFAR and an ImageNet ResNet with bottlenecks, channels last, how
many multiplications each has, its time by `torch.conv2d` and that by oneDNN, which take turns. It
is where the limit in `keras_dla/ops/torch/inference.py` comes from.
"""

import argparse
import itertools
from functools import partial

import torch
from clocks import CLOCKS, measure
from provenance import provenance

# Channels, filters, height (and width) of the map, and size of the kernel.
CONVOLUTIONS = (
    (64, 16, 32, 1),
    (16, 16, 32, 3),
    (128, 32, 16, 1),
    (32, 32, 16, 3),
    (256, 64, 8, 1),
    (64, 64, 8, 3),
    (256, 64, 56, 1),
    (64, 64, 56, 3),
    (1024, 256, 14, 1),
    (256, 256, 14, 3),
)


def row(batch, channels, filters, height, size, rounds) -> str:
    """Returns the row of one convolution: its multiplications and the seconds of both ways."""
    x = torch.rand(batch, height, height, channels).permute(0, 3, 1, 2)
    kernel = torch.rand(size, size, channels, filters).permute(3, 2, 0, 1)
    padding, one = (size // 2, size // 2), (1, 1)
    ways = {
        "chosen": partial(torch.conv2d, x, kernel, None, one, padding),
        "direct": partial(torch.mkldnn_convolution, x, kernel, None, padding, one, one, 1),
    }
    torch.testing.assert_close(ways["direct"](), ways["chosen"](), rtol=1e-4, atol=1e-4)
    chosen, direct = measure(ways, rounds, CLOCKS["cpu"]).values()
    count = x.numel() * kernel.numel() // channels
    return (
        f"| {batch} | {height} x {height} x {channels} | {size} x {size}, {filters} "
        f"| {count / 1e6:.2f} | {chosen * 1e3:.3f} | {direct * 1e3:.3f} | {direct / chosen:.2f} |"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(provenance(), "\n")
    print("| images | map | kernel | multiplications (M) | conv2d (ms) | oneDNN (ms) | ratio |")
    print("|-|-|-|-|-|-|-|")
    with torch.no_grad():
        for batch, convolution in itertools.product(arguments.batch_sizes, CONVOLUTIONS):
            print(row(batch, *convolution, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
