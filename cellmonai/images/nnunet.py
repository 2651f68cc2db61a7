"""Layout "nnunet": `imagesTr/x_0000.tif` with the labels `labelsTr/x.tif`; what lies in `imagesTs` is for testing.

The four digits are the channel; a case of several channels has a file for each of them.

References
----------
Isensee et al., Nature Methods 18, 203 (2021).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from cellmonai.core.errors import InputError
from cellmonai.images.find import image_stem, images_in
from cellmonai.images.pair import Pair, PairList, nearest_name, some_names
from cellmonai.images.spelling import folder_named

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CHANNEL = re.compile(r"(.+)_([0-9]{4})")


def case_of(image: Path) -> str | None:
    """Return the name of the case that an image is of, None for a name without a channel."""
    match = _CHANNEL.fullmatch(image_stem(image))
    return match[1] if match else None


def nnunet_pairs(root: Path, images: Path | None, masks: Path | None) -> PairList:
    """Find the training cases of a data set of nnU-Net.

    Raises
    ------
    InputError
        A folder is missing, a name has no channel, a case has several channels, or an image has no label file.
    """
    images = images or folder_named(root, "imagesTr")
    masks = masks or folder_named(root, "labelsTr")
    if images is None or masks is None:
        missing = "imagesTr" if images is None else "labelsTr"
        raise InputError(f"there is no folder {missing}", where=str(root), cure="name the folder that holds it")
    labels = {image_stem(path): path for path in images_in(masks)}
    cases = _cases(images_in(images))
    missing_labels = [image for case, image in cases.items() if case not in labels]
    if missing_labels:
        near = nearest_name(missing_labels[0].name, [path.name for path in labels.values()])
        raise InputError(
            f"no label file for {some_names(missing_labels)} ({len(cases)} images, {len(labels)} label files{near})",
            where=str(masks),
            cure="add the label files under the names of the images without the channel, as x.tif for x_0000.tif",
        )
    pairs = tuple(Pair(case, image, (labels[case],)) for case, image in cases.items())
    test = folder_named(root, "imagesTs")
    notes = (f"{test.name} is for testing and left out",) if test is not None else ()
    return PairList(pairs, tuple(path for case, path in labels.items() if case not in cases), notes)


def _cases(images: Sequence[Path]) -> dict[str, Path]:
    """Return the image of each case."""
    cases: dict[str, list[Path]] = defaultdict(list)
    for image in images:
        case = case_of(image)
        if case is None:
            raise InputError("the name does not end in a channel, as x_0000.tif", where=str(image), cure="rename it")
        cases[case].append(image)
    for files in cases.values():
        if len(files) > 1:
            raise InputError(
                f"the channels of one image lie in several files ({some_names(files)})",
                where=str(files[0].parent),
                cure="stack them into one file for each image, or name a folder with the files of one channel as "
                "data.images",
            )
    return {case: files[0] for case, files in cases.items()}
