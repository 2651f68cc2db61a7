"""What rounding a network to 8-bit integers changed on the windows it was calibrated on."""

from __future__ import annotations

from dataclasses import dataclass

_MOST_UNSAID = 0.05  # of the count: about what two trainings of one recipe differ by


@dataclass(frozen=True, slots=True)
class Int8Difference:
    """What rounding to 8-bit integers changed on the windows it was calibrated on.

    Parameters
    ----------
    windows, px : how many, and their pixels in all
    digest : SHA-256 of the windows
    network_sha256 : of the weights in 8-bit integers and their ranges, which tells one calibration from another
    threshold : of the foreground probability
    mask_px_f32, mask_px_changed : foreground in f32, and pixels that are foreground in one of the two only
    objects_f32, objects_int8 : connected regions of the foreground (8 neighbours) in all windows
    largest, mean : absolute difference of the foreground probability
    """

    windows: int
    px: int
    digest: str
    network_sha256: str
    threshold: float
    mask_px_f32: int
    mask_px_changed: int
    objects_f32: int
    objects_int8: int
    largest: float
    mean: float

    @property
    def sentence(self) -> str:
        """Windows, objects, pixels of the mask and probabilities, for a console."""
        return (
            f"int8 beside f32 on {self.windows} windows ({self.px / 1e6:.3g} Mpx, threshold {self.threshold:g}): "
            f"{self.objects_f32:,} -> {self.objects_int8:,} objects, {self.mask_px_changed:,} of "
            f"{self.mask_px_f32:,} px of the mask changed, probabilities by up to {self.largest:.2g}"
        )

    @property
    def is_large(self) -> bool:
        """Whether the count changed by more than 5 %."""
        return abs(self.objects_int8 - self.objects_f32) > _MOST_UNSAID * self.objects_f32
