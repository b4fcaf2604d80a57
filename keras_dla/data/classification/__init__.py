"""CIFAR, ImageNet and arrays in memory."""
