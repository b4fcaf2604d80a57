"""What the boxes of a rotated photograph refer to: the image as it is seen, or as it is stored."""

from collections.abc import Callable, Iterable

from keras_dla.data.images import ImageHeader

SEEN, STORED = "seen", "stored"


class ExifReading:
    """Finds out how an annotation file treats photographs with an EXIF orientation.

    A phone stores a photograph as its sensor reads it, with a note of how it was held. Most tools
    annotate it as it is seen, some (Label Studio) as it is stored. The sizes in the annotations
    show which, for photographs that lie on their side and are not square; the other photographs of
    the same file are read in the same way.

    Args:
        headers: function that yields the header of every image and its (height, width) in the
            annotations. It is called only if an image itself does not show it.
        given: `"seen"` or `"stored"`, used if no image shows it; defaults to None.
    """

    def __init__(
        self,
        headers: Callable[[], Iterable[tuple[ImageHeader, tuple[int, int]]]],
        given: str | None = None,
    ):
        self._headers = headers
        self._given = given
        self._of_all: set[str] | None = None

    def is_stored(self, header: ImageHeader, size: tuple[int, int], name: str) -> bool:
        """Returns whether an image's boxes refer to its pixels as they are stored.

        Args:
            header: the header of the image file.
            size: pair of int (height, width), the size in the annotations.
            name: str, the image's name for an error.

        Raises:
            ValueError: when it cannot be determined.
        """
        if header.orientation == 1:
            return False
        reading = _told(header, size) or self._given or self._by_the_others()
        if reading is None:
            raise ValueError(
                f"the image file {name!r} has EXIF orientation {header.orientation}, and its "
                "size does not show whether its boxes refer to the photograph as it is seen or "
                "as it is stored: choose by `exif='seen'` or `exif='stored'`."
            )
        return reading == STORED

    def _by_the_others(self):
        if self._of_all is None:
            told = (_told(header, size) for header, size in self._headers())
            self._of_all = {reading for reading in told if reading is not None}
        return next(iter(self._of_all)) if len(self._of_all) == 1 else None


def _told(header, size):
    """Returns the reading with which the image has its annotated size, if there is only one."""
    stored, seen = (header.height, header.width), header.seen
    if stored == seen or size not in (stored, seen):
        return None
    return STORED if size == stored else SEEN
