"""A plain ResNet in PyTorch, with the names of torchvision and of timm (they agree)."""

import torch
from torch import nn


class Bottleneck(nn.Module):
    def __init__(self, inputs, planes, stride):
        super().__init__()
        outputs = 4 * planes
        self.conv1, self.bn1 = nn.Conv2d(inputs, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(outputs))

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return torch.relu(self.bn3(self.conv3(x)) + shortcut)


class TorchResNet(nn.Module):
    """`stem` is `"imagenet"` or `"cifar"`."""

    def __init__(self, blocks, planes, stem, classes):
        super().__init__()
        self.stem = stem
        channels = 64 if stem == "imagenet" else 16
        size, stride, pad = (7, 2, 3) if stem == "imagenet" else (3, 1, 1)
        self.conv1 = nn.Conv2d(3, channels, size, stride, pad, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        for number, (depth, width) in enumerate(zip(blocks, planes, strict=True), start=1):
            stage = []
            for index in range(depth):
                stage.append(Bottleneck(channels, width, 2 if number > 1 and index == 0 else 1))
                channels = 4 * width
            setattr(self, f"layer{number}", nn.Sequential(*stage))
        self.stages = len(blocks)
        self.fc = nn.Linear(channels, classes)

    def maps(self, x):
        """The outputs of the stages."""
        x = torch.relu(self.bn1(self.conv1(x)))
        if self.stem == "imagenet":
            x = nn.functional.max_pool2d(x, 3, 2, 1)
        maps = []
        for number in range(self.stages):
            x = getattr(self, f"layer{number + 1}")(x)
            maps.append(x)
        return maps

    def forward(self, x):
        return self.fc(self.maps(x)[-1].mean((2, 3)))


def trained(blocks, planes, stem, classes=5, seed=0):
    """A network whose BNs have statistics and gammas as after a training."""
    torch.manual_seed(seed)
    network = TorchResNet(blocks, planes, stem, classes)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
    return network.eval()
