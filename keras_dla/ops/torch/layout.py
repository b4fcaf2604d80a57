"""Feature maps as PyTorch's functions read them; its channels-last layout is a view of them."""


def channels_first(x, data_format):
    """Returns a view of a batch of feature maps, `[batch, channels, height, width]`."""
    return x if data_format == "channels_first" else x.permute(0, 3, 1, 2)


def as_it_was(x, data_format):
    """Returns the view back in `data_format`."""
    return x if data_format == "channels_first" else x.permute(0, 2, 3, 1)
