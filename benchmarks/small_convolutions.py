"""From which size on oneDNN is faster than what PyTorch chooses for a few images on one thread.

    python benchmarks/small_convolutions.py

Prints, for the convolutions of a CIFAR and an ImageNet ResNet with bottlenecks, channels last, how
many multiplications each has, its time by `torch.conv2d` and that by oneDNN, which take turns. It
is where the limit in `keras_dla/ops/torch/inference.py` comes from.
"""

import argparse
import statistics

import torch
from clocks import CLOCKS
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
WARM_UP = 5


def medians(functions, repeats):
    """Returns each function's median of CPU seconds."""
    times = [[] for _ in functions]
    for _ in range(WARM_UP + repeats):
        for function, measured in zip(functions, times, strict=True):
            begin = CLOCKS["cpu"]()
            function()
            measured.append(CLOCKS["cpu"]() - begin)
    return [statistics.median(measured[WARM_UP:]) for measured in times]


def compare(convolution, batch, repeats):
    """Returns the multiplications and the seconds of both ways."""
    channels, filters, height, size = convolution
    x = torch.rand(batch, height, height, channels).permute(0, 3, 1, 2)
    kernel = torch.rand(size, size, channels, filters).permute(3, 2, 0, 1)
    padding, one = (size // 2, size // 2), (1, 1)

    def by_choice():
        return torch.conv2d(x, kernel, None, one, padding)

    def by_onednn():
        return torch.mkldnn_convolution(x, kernel, None, padding, one, one, 1)

    torch.testing.assert_close(by_onednn(), by_choice(), rtol=1e-4, atol=1e-4)
    return x.numel() * kernel.numel() // channels, *medians((by_choice, by_onednn), repeats)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(provenance(), "\n")
    print("| images | map | kernel | multiplications (M) | conv2d (ms) | oneDNN (ms) | ratio |")
    print("|-|-|-|-|-|-|-|")
    with torch.no_grad():
        for batch in arguments.batch_sizes:
            for channels, filters, height, size in CONVOLUTIONS:
                convolution = channels, filters, height, size
                count, chosen, direct = compare(convolution, batch, arguments.repeats)
                print(
                    f"| {batch} | {height} x {height} x {channels} | {size} x {size}, {filters} "
                    f"| {count / 1e6:.2f} | {chosen * 1e3:.3f} | {direct * 1e3:.3f} "
                    f"| {direct / chosen:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
