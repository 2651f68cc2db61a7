"""The pictures of the report, as elements: images with the outlines of their cells, and plates as heat maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellmonai.report.html import view
from cellmonai.report.html.elements import NEWLINE, NOTHING, Html, element, together
from cellmonai.report.html.thumbnails import PictureChoice, data_uri
from cellmonai.report.words import counted, needs_a_look

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cellmonai.report.html.data import ReportData, ReportImage

_MOST_PICTURE_BYTES = 45_000
_MOST_PLATES, _PLATES_SHARE = 24, 4  # plates get at most a quarter of the bytes for pictures


def pictures_part(data: ReportData, limits: view.Limits) -> Html:
    """Give the pictures of the images; empty where there is none."""
    choice = PictureChoice()
    shown = [
        image for image in data.images if image.thumbnail is not None and choice.wants(flagged=needs_a_look(image.row))
    ][: limits.pictures]
    if not shown:
        return NOTHING
    room = min(_MOST_PICTURE_BYTES, limits.picture_bytes * (_PLATES_SHARE - 1) // _PLATES_SHARE // len(shown))
    some = (
        f" Shown are {len(shown):,} of {len(data.images):,} images: the first ones, and of the others those to look at "
        "first."
    )
    about = "Outlines of the counted cells; colours only tell neighbours apart."
    return together(
        element("p", about, some if len(shown) < len(data.images) else None, class_="soft"),
        element("div", [(_figure(image, room), NEWLINE) for image in shown], class_="pictures"),
    )


def plate_figures(data: ReportData, limits: view.Limits) -> list[Html]:
    """Give the heat maps of plates."""
    plates = data.plates[: min(_MOST_PLATES, limits.pictures)]
    room = limits.picture_bytes // _PLATES_SHARE // max(len(plates), 1)
    return [
        element(
            "figure",
            _img(plate.picture, room, plate.caption),
            element("figcaption", plate.caption),
            class_="plate",
        )
        for plate in plates
    ]


def _figure(image: ReportImage, room: int) -> Html:
    assert image.thumbnail is not None  # chosen by it
    caption, name = counted(image.row.count, "cell"), view.name_of(image)
    interval = f"({view.interval_in_words(image.row.interval)})" if image.row.interval else ""
    picture = _img(image.thumbnail, room, f"{name}: {caption}, outlined", decoding="async")
    if link := view.link_to(image.picture_file):
        picture = element("a", picture, href=link, title="overlay in full size")
    words = [element("bdi", name, class_="name")]
    if interval:
        words.insert(0, element("span", interval, class_="soft"))
    if flags := view.caption_flags(image):
        words.append(element("span", flags, class_="soft"))
    return element(
        "figure", picture, element("figcaption", element("strong", caption), [(" ", word) for word in words])
    )


def _img(picture: NDArray[np.uint8], room: int, alt: str, **attributes: str) -> Html:
    height, width = picture.shape[:2]
    return element("img", src=data_uri(picture, room), width=width, height=height, alt=alt, **attributes)
