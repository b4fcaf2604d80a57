"""What the boxes of a turned photograph refer to: the image as it is seen, or as it is stored."""

from collections.abc import Callable, Iterable

from keras_dla.data.images import ImageHeader

SEEN, STORED = "seen", "stored"


class ExifReading:
    """Finds out how a file of annotations reads photographs with an EXIF orientation.

    A phone stores a photograph as its sensor has it and notes how it was held. Most tools
    annotate it as it is seen, some (Label Studio) as it is stored. The sizes in the annotations
    tell which, where the photograph lies on its side and is not square; for the others, those of
    the same file that do tell decide.

    Args:
        headers: function that yields, for every image, its header and the (height, width) that
            the annotations give it. It is called only where an image does not tell.
        given: `"seen"` or `"stored"`, what holds where no image tells; defaults to None.
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
            header: what the image file says.
            size: pair of int (height, width), what the annotations say.
            name: str, the image's name for an error.

        Raises:
            ValueError: when it cannot be told.
        """
        if header.orientation == 1:
            return False
        reading = _told(header, size) or self._given or self._by_the_others()
        if reading is None:
            raise ValueError(
                f"the image file {name!r} has EXIF orientation {header.orientation}, and its size "
                "does not tell whether its boxes refer to the photograph as it is seen or as it "
                "is stored: say so by `exif='seen'` or `exif='stored'`."
            )
        return reading == STORED

    def _by_the_others(self):
        if self._of_all is None:
            told = (_told(header, size) for header, size in self._headers())
            self._of_all = {reading for reading in told if reading is not None}
        return next(iter(self._of_all)) if len(self._of_all) == 1 else None


def _told(header, size):
    """Returns the reading under which the image has its annotated size, if that is one alone."""
    stored, seen = (header.height, header.width), header.seen
    if stored == seen or size not in (stored, seen):
        return None
    return STORED if size == stored else SEEN
