"""The report of a count: one offline file, numbers right, hostile names harmless, under 10 MB whatever the input."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painting import Disc, paint
from PIL import Image

from cellmonai.core.errors import OutputError
from cellmonai.core.progress import Warned
from cellmonai.core.text import printable
from cellmonai.report.counts import ImageCount
from cellmonai.report.html.charts import bin_names, draw_histogram, histogram_of_counts, histogram_of_sizes
from cellmonai.report.html.data import PlatePicture, ReportData, ReportImage
from cellmonai.report.html.elements import element
from cellmonai.report.html.methods import methods_of
from cellmonai.report.html.page import MOST_BYTES, render_report, write_report
from cellmonai.report.html.png import indexed_png
from cellmonai.report.html.thumbnails import MASK_COLOURS, MOST_PICTURES, PictureChoice, data_uri, thumbnail

if TYPE_CHECKING:
    from pathlib import Path

VOID = {"meta", "img", "input", "br"}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "h3", "p", "nav", "a", "main", "div",
    "strong", "ul", "ol", "li", "bdi", "section", "span", "label", "input", "table", "caption", "thead", "tbody",
    "tfoot", "tr", "th", "td", "figure", "img", "figcaption", "svg", "line", "text", "rect", "details", "summary", "dl",
    "dt", "dd", "button", "pre", "footer", "script",
}  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "</style></title></script><b>",
    "{{ 7 * 7 }}{% raw %}",
    "a\nb\r\tc\x00\x1b[31m",
    "abc\u202egpj.exe\u2066",
    "caf\udce9.tif",
    "&lt;&amp;",
    "//example.org/x.png",
)


@dataclass
class Page(HTMLParser):
    """What a page holds, read without running it; unbalanced tags fail the test."""

    text: str = ""
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open_tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.text)
        self.close()
        assert self.open_tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open_tags.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))  # lines of a chart

    def handle_endtag(self, tag: str) -> None:
        assert self.open_tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open_tags or self.open_tags[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def shown(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def image(name: str = "a", *, count: int = 2, um: bool = False, **more: object) -> ReportImage:
    values: dict[str, Any] = {
        "density_per_mm2": count / 0.01 if um else None,
        "area_mean_px": 50.0 if count else None,
        "area_median_px": 49.0 if count else None,
        "area_mean_um2": 12.5 if um and count else None,
        "area_median_um2": 12.25 if um and count else None,
        "removed": {"min_area": 1, "max_area": 0, "border": 0},
        "flags": {"touches_border": 1, "unusually_large": 0},
        "analysed_area_mm2": 0.01 if um else None,
    }
    shown = {key: more.pop(key) for key in ("thumbnail", "picture_file") if key in more}
    row = ImageCount(image=name, plane=more.pop("plane", ""), count=count, **(values | more))
    return ReportImage(row, np.full(count, 50), (0.5, 0.5) if um else None, **shown)


def report(*images: ReportImage, **more: object) -> ReportData:
    values: dict[str, Any] = {
        "parameters": {"kind": "binary", "split": "auto", "min_area_px": 10.0, "border": "keep"},
        "run_record": {"versions": {"cellmonai": "1.2.3", "python": "3.11"}, "ended": "2026-01-02T03:04:05+00:00"},
    }
    return ReportData(images=images, **(values | more))


def page_of(*images: ReportImage, **more: object) -> Page:
    return Page(render_report(report(*images, **more)))


def rows_of(text: str) -> list[list[str]]:
    """Give the cells of the table of images."""
    body = text.split('<section id="images">')[1].split("<tbody>")[1].split("</tbody>")[0]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in body.split("</tr>")[:-1]]
    return [[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells]


def test_the_numbers_of_the_table_and_the_headline_are_those_of_the_counts() -> None:
    data = report(image("a", count=1200, um=True, interval=(1100, 1300)), image("b", count=300, um=True))
    text = render_report(data)
    assert rows_of(text) == [
        ["a", "1,200", "1,100\u20131,300", "120,000", "12.5", "12.2", "1 at the border; removed: 1 too small"],
        ["b", "300", "\u2013", "30,000", "12.5", "12.2", "1 at the border; removed: 1 too small"],
    ]
    shown = Page(text).shown
    assert "1,500 cells in 2 images" in shown
    assert "750 cells per image, median from 300 to 1,200" in shown
    assert "75,000 cells/mm²" in shown
    assert "12.5 µm² mean cell area" in shown


def test_the_total_gets_no_interval() -> None:
    shown = page_of(image(interval=(1, 4)), image("b", interval=(1, 4)), interval_level=0.95).shown
    assert "95 % interval" in shown
    assert "They do not add up, so the total has none." in shown


def test_the_reason_for_no_interval_is_said_once_with_how_many_it_is_about() -> None:
    images = [image(f"i{n}", interval_reason="the model was never calibrated") for n in range(3)]
    assert page_of(*images).shown.count("No image has an interval: the model was never calibrated.") == 1
    shown = page_of(*images, image("x", interval=(1, 2))).shown
    assert "3 images have no interval: the model was never calibrated." in shown


def test_sizes_are_in_pixels_where_one_image_does_not_know_its_pixel_size() -> None:
    shown = page_of(image("a", um=True), image("b")).shown
    assert "mean area (px)" in shown
    assert "area of a cell (px)" in shown
    assert "of 1 image is not known" in shown


def test_every_part_is_there() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    page = page_of(
        image("a", thumbnail=picture, picture_file="a_overlay.png", plane="t=1"),
        image("b", count=5, plane="t=2"),
        warnings=[Warned("odd", "94 % is foreground", "a"), Warned("odd", "94 % is foreground", "b")],
        failures={"c": "is not a TIFF file"},
        groups=[{"level": "well", "group": {"well": "A01"}, "unit": "field", "units": 2, "sum": 7, "mean": 3.5,
                 "sd": 1.5, "low": 2.0, "high": 6.0, "warning": None}],
        plates=[PlatePicture("plate P1", picture)],
        audit={"schema": "x/1", "total": 8, "interval": {"low": 6, "high": 11}},
        partial_reason="A run of cellmonai infer never finished.",
    )  # fmt: skip
    for part in (
        "These numbers are partial. A run of cellmonai infer never finished.",
        "1 input could not be counted; the total is partial. c : is not a TIFF file",
        "94 % is foreground a , b",
        "By well",
        "n (field)",
        "2\u20136",
        "Audit total 8 interval low 6, high 11",
        "Objects removed too small 2",
        "splitting of touching cells auto",
        "Run record",
    ):
        assert part in page.shown
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert alts == ["a, t=1: 2 cells, outlined", "plate P1"]
    assert "./a_overlay.png" in [attributes.get("href") for attributes in page.all("a")]
    assert len(page.all("svg")) == 2


def test_group_intervals_say_their_level_and_where_counting_noise_is_their_floor() -> None:
    group = {"level": "well", "group": {"well": "A01"}, "unit": "field", "units": 2, "sum": 7, "mean": 3.5, "sd": 0.0,
             "low": 2.0, "high": 6.0, "interval_kind": "log_t", "interval_level": 0.9, "density_per_mm2": 20.0,
             "density_low": 11.0, "density_high": 31.0, "density_interval_kind": "log_t", "warning": None}  # fmt: skip
    plain = page_of(image("a"), groups=[group]).shown
    assert "90 % sampling interval" in plain
    assert "95 %" not in plain
    assert "*" not in plain
    floor = page_of(image("a"), groups=[group | {"interval_kind": "poisson_floor"}]).shown
    assert "2\u20136*" in floor
    assert "11\u201331*" not in floor
    assert "* widened to counting noise alone (Poisson), which is a floor." in floor
    density = page_of(image("a"), groups=[group | {"density_interval_kind": "poisson_floor"}]).shown
    assert "11\u201331*" in density
    assert "2\u20136*" not in density
    assert "interval kind" not in density


@pytest.mark.parametrize(
    "images",
    [
        pytest.param([], id="no image"),
        pytest.param([image(count=0)], id="no cell"),
        pytest.param([image(count=1)], id="one cell"),
        pytest.param([image(count=0), image("b", count=0)], id="no cell in two images"),
    ],
)
def test_a_report_of_little_is_whole(images: list[ReportImage]) -> None:
    page = page_of(*images, interval_level=0.95)
    assert {"warnings", "settings", "methods"} & {attributes.get("id") for attributes in page.all("section")}
    assert ("No cells in any image." in page.shown) == bool(images and not any(i.row.count for i in images))
    if not images:
        assert "No image was counted." in page.shown


def hostile_report(text: str) -> ReportData:
    return report(
        image(text, plane=text, thumbnail=np.zeros((8, 8, 3), np.uint8), picture_file=text, interval_reason=text),
        image("b"),
        title=text,
        parameters={"kind": text, "split": text, "border": text, "preset": text, text: text, "min_area": text},
        run_record={"versions": {"cellmonai": text, "python": text}, "ended": text, text: [text], "kernel": text},
        warnings=[Warned(text, text, text)],
        failures={text: text},
        groups=[{"level": text, "group": {text: text}, "unit": text, text: text, "warning": text}],
        plates=[PlatePicture(text, np.zeros((8, 8, 3), np.uint8))],
        audit={text: text},
        partial_reason=text,
        counts_file=text,
        run_file=text,
    )


def assert_harmless(text: str) -> None:
    page = Page(text)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert len(page.all("script")) == 1
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert (attributes.get("src") or "data:image/").startswith("data:image/")
        assert (attributes.get("href") or "#").startswith(("#", "./"))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_does_nothing(text: str) -> None:
    assert_harmless(render_report(hostile_report(text)))


@settings(max_examples=8)
@given(st.text(st.characters(codec=None), max_size=30))
def test_any_text_does_nothing(text: str) -> None:
    assert_harmless(render_report(hostile_report(text)))


def test_a_hostile_name_is_still_readable(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", report(image("<b>caf\udce9\n.tif")), overwrite=False)
    assert "<b>caf\\udce9\\x0a.tif" in Page((tmp_path / "r.html").read_text(encoding="utf-8")).shown


def test_the_page_forbids_all_that_is_not_in_it() -> None:
    text = render_report(report(image(thumbnail=np.zeros((8, 8, 3), np.uint8))))
    page = Page(text)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag in ("style", "script"):
        content = text.split(f"<{tag}>")[1].split(f"</{tag}>")[0]
        digest = base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "http" not in content
        assert "url(" not in content
        assert "@import" not in content
    assert not page.all("link")
    assert not page.all("iframe")


def test_a_report_of_ten_thousand_images_stays_small_and_says_what_it_left_out() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3)).astype(np.uint8)
    name = "n" * 200 + "<&>"
    images = [image(f"{name}{n}", thumbnail=noise if n % 40 == 0 else None) for n in range(10_000)]
    warnings = [Warned("code", f"message {n} {name}", f"{name}{n}") for n in range(10_000)]
    record = {"images": [{"image": name, "sha256": "0" * 64} for _ in range(10_000)]}
    text = render_report(report(*images, warnings=warnings, run_record=record))
    assert len(text.encode()) < MOST_BYTES
    shown = Page(text).shown
    assert "The first 1,000 of 10,000 images; counts.csv has all of them." in shown
    assert "20,000 cells in 10,000 images" in shown
    assert "Shortened; run.json has all of it." in shown
    assert "9,700 more warnings" in shown


def test_a_report_that_would_be_too_large_shows_less() -> None:
    groups = [{"level": f"level {n}", "group": {"well": "w"}, "mean": 1.0} for n in range(20_000)]
    assert len(render_report(report(image(), groups=groups)).encode()) < MOST_BYTES


def test_many_pictures_share_the_room_and_only_some_are_shown() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (120, 120, 3)).astype(np.uint8)
    images = [image(f"i{n}", thumbnail=noise, flags={"odd_shape": n == 299}) for n in range(300)]
    page = page_of(*images)
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert len(alts) == 151
    assert alts[-1] == "i299: 2 cells, outlined"
    assert "Shown are 151 of 300 images" in page.shown


def test_pictures_are_chosen_first_come_and_then_by_flag() -> None:
    choice = PictureChoice()
    wanted = [choice.wants(flagged=n % 2 == 0) for n in range(1000)]
    assert all(wanted[:150])
    assert sum(wanted) == MOST_PICTURES
    assert not any(wanted[151:1000:2])


def test_an_existing_report_is_not_overwritten(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", report(image()), overwrite=False)
    with pytest.raises(OutputError):
        write_report(tmp_path / "r.html", report(image()), overwrite=False)
    write_report(tmp_path / "r.html", report(image()), overwrite=True)


def test_the_same_data_give_the_same_page() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (60, 60, 3)).astype(np.uint8)
    assert render_report(report(image(thumbnail=picture))) == render_report(report(image(thumbnail=picture)))


# ------------------------------------------------------------------------------------------------ methods paragraph


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({"kind": "binary", "split": "auto"}, "0.15 px or 5 % of its own height", id="auto"),
        pytest.param({"kind": "binary", "split": "learned"}, "a logistic score", id="learned"),
        pytest.param({"kind": "binary", "split": "markers", "min_distance_px": 7}, "within 7 px in rows", id="markers"),
        pytest.param({"kind": "binary", "split": "none"}, "were not split", id="none"),
        pytest.param({"kind": "labels"}, "The inputs were label images", id="labels"),
        pytest.param({"kind": "binary", "preset": "fiji"}, "the preset “fiji”", id="preset"),
        pytest.param({"threshold": 0.4}, "reached 0.4", id="threshold"),
        pytest.param({"opening": 2, "fill_holes": "all"}, "opened by a disc of radius 2 px and cleared", id="shapes"),
        pytest.param({"min_area": "25um2", "min_area_px": None}, "smaller than 25 µm² (2 removed)", id="area in µm²"),
        pytest.param({"min_area_px": 10.0, "max_area_px": 900.0}, "and larger than 900 px (0 removed)", id="areas"),
        pytest.param({"min_area_px": 0}, "No object was left out for its area", id="no area filter"),
        pytest.param({"border": "keep"}, "image border (2 of 4 cells) were counted", id="keep"),
        pytest.param({"border": "exclude"}, "image border (0 objects) were not counted", id="exclude"),
        pytest.param({"border": "frame"}, "unbiased counting frame [1]", id="frame"),
    ],
)
def test_the_methods_say_what_was_done(parameters: dict[str, Any], words: str) -> None:
    assert words in methods_of(report(image("a"), image("b"), parameters=parameters)).paragraph


def test_the_methods_name_software_sizes_and_numbers() -> None:
    text = methods_of(report(image("a", um=True), image("b", count=4, um=True))).paragraph
    assert text.startswith("Cells were counted with cellmonai 1.2.3 (Python 3.11).")
    assert "The pixel size was 0.5 µm." in text
    assert "In total 6 cells were counted in 2 images (median 3 per image, range 2 to 4)." in text


def test_the_methods_say_of_what_shapes_are_where_pixels_are_not_square() -> None:
    square = image("a", um=True)
    words = "are those of the pixel grid"
    assert words not in methods_of(report(square, image("b"))).paragraph
    assert words in methods_of(report(square, replace(square, pixel_size_um=(0.5, 0.25)))).paragraph


def test_references_are_numbered_in_the_order_of_their_mention() -> None:
    methods = methods_of(report(image(interval=(1, 3)), interval_level=0.95))
    numbers = [int(n) for n in re.findall(r"\[(\d+)\]", methods.paragraph)]
    assert numbers == list(range(1, len(methods.references) + 1))
    assert "95 % intervals" in methods.paragraph
    assert methods.references[0].startswith("Meijster")


# ------------------------------------------------------------------------------------------------------- histograms


@pytest.mark.parametrize("largest", [999.0, 1000.0, 99_999.0, 999_999.0])
def test_no_name_of_a_tick_is_cut_at_the_edge_of_the_picture(largest: float) -> None:
    histogram = histogram_of_sizes(np.linspace(0.1, largest, 50))
    picture = draw_histogram(histogram, title="t", x_name="x", y_name="y")
    ticks = re.findall(r'<text class="tick" x="([0-9.]+)"[^>]*>([^<]*)<', picture)
    width_of_a_digit = 7.5  # of 13 px text
    assert ticks
    assert all(float(x) + len(name) * width_of_a_digit / 2 < 480 for x, name in ticks)


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=300))
def test_every_count_falls_into_one_bin(counts: list[int]) -> None:
    histogram = histogram_of_counts(counts)
    assert histogram.frequencies.sum() == len(counts)
    assert histogram.edges[0] <= min(counts)
    assert max(counts) < histogram.edges[-1]
    assert histogram.frequencies.size <= 50


@given(st.lists(st.floats(0.01, 1e9), min_size=1, max_size=300))
def test_every_size_falls_into_one_bin(sizes: list[float]) -> None:
    histogram = histogram_of_sizes(np.array(sizes))
    assert histogram.frequencies.sum() == len(sizes)
    assert histogram.frequencies.size <= 50


def test_a_clump_shares_the_last_bin() -> None:
    histogram = histogram_of_sizes(np.append(np.linspace(50, 150, 999), 1e6))
    assert histogram.open_end
    assert histogram.edges[-1] < 200
    assert histogram.frequencies.sum() == 1000
    assert bin_names(histogram)[-1].startswith("≥ ")


def test_bins_of_counts_are_named_by_whole_numbers() -> None:
    assert bin_names(histogram_of_counts([3, 4, 5])) == ["2", "3", "4", "5", "6"]
    assert bin_names(histogram_of_counts([0, 99]))[0] == "0\u201319"


def test_a_histogram_is_drawn_with_its_axes_and_its_median() -> None:
    page = Page(draw_histogram(histogram_of_counts([1, 2, 2, 9]), title="t <", x_name="x & y", y_name="images"))
    assert page.all("svg")[0]["aria-label"] == "t <"
    assert "x & y" in page.shown
    assert "median 2" in page.shown
    heights = [float(bar["height"] or 0) for bar in page.all("rect")]
    assert max(heights) == 2 * min(heights)


@given(st.text(), st.text())
def test_an_element_holds_its_words_and_nothing_else(words: str, value: str) -> None:
    page = Page(element("p", words, element("b", [words, None]), title=value, hidden=True, id=None))
    assert page.tags == [("p", {"title": printable(value), "hidden": None}), ("b", {})]
    assert "".join(page.words) == printable(words) * 2


# ------------------------------------------------------------------------------------------------------- thumbnails


def test_a_thumbnail_shows_the_image_with_outlines() -> None:
    labels = paint([Disc(300, 300, 60), Disc(500, 700, 60)], (800, 1000))
    picture = thumbnail((labels > 0)[None] * 1000.0, labels)
    assert picture.shape == (320, 400, 3)
    assert picture[120, 120].min() > 200  # the middle of a cell
    assert picture[10, 10].max() < 30
    edge = picture[120, 96:100].astype(int)
    assert (edge.max(axis=1) - edge.min(axis=1)).max() > 60  # a coloured line


def test_small_images_are_enlarged_by_a_whole_number() -> None:
    assert thumbnail(None, np.zeros((100, 60), np.int32)).shape == (500, 300)


def test_without_an_image_the_cells_are_grey() -> None:
    labels = paint([Disc(200, 200, 90)], (400, 400))
    picture = MASK_COLOURS[thumbnail(None, labels)]
    assert picture[200, 200].tolist() == [120, 120, 120]
    assert picture[5, 5].tolist() == [18, 18, 18]


def test_without_an_image_touching_cells_get_lines_of_different_colours() -> None:
    labels = np.zeros((400, 400), np.int32)
    labels[100:200, 100:200], labels[100:200, 200:300] = 1, 5  # the same modulo the colours
    picture = thumbnail(None, labels)
    assert len({0, 1, int(picture[150, 199]), int(picture[150, 200])}) == 4
    far = labels.astype(np.int64) * 10**12
    assert (thumbnail(None, far)[:, :150] == picture[:, :150]).all()


def test_cells_without_any_background_are_all_drawn_as_cells() -> None:
    assert set(thumbnail(None, np.full((400, 400), 10**9)).ravel().tolist()) == {1}


class Strips:
    """A plane or an image that gives its rows, and remembers that it was asked for few at a time."""

    def __init__(self, array: np.ndarray) -> None:
        self.array, self.most = array, 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def rows(self, top: int, bottom: int) -> np.ndarray:
        self.most = max(self.most, bottom - top)
        return self.array[..., top:bottom, :]


def test_a_slide_gives_the_same_thumbnail_from_its_rows() -> None:
    labels = paint([Disc(900 * n, 400, 200) for n in range(1, 6)], (6000, 900))
    image_px = np.random.default_rng(0).normal(100, 9, (2, 6000, 900)).astype(np.float32) + 200 * (labels > 0)
    rows, channels = Strips(labels), Strips(image_px)
    assert (thumbnail(channels, rows) == thumbnail(image_px, labels)).all()
    assert max(rows.most, channels.most) < 3000


@pytest.mark.parametrize(
    "shape",
    [pytest.param((1, 1), id="one pixel"), pytest.param((1, 5000), id="a line"), pytest.param((401, 3), id="thin")],
)
def test_any_shape_gives_a_thumbnail(shape: tuple[int, int]) -> None:
    picture = thumbnail(np.zeros((3, *shape), np.uint8), np.ones(shape, np.int32))
    assert picture.shape[2] == 3
    assert min(picture.shape) >= 1


def test_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        thumbnail(np.zeros((1, 5, 5)), np.zeros((5, 6), np.int32))


@pytest.mark.parametrize("room", [2_000, 20_000, 60_000])
def test_a_picture_keeps_to_its_bytes(room: int) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (400, 400, 3)).astype(np.uint8)
    assert len(data_uri(noise, room)) <= room


def test_a_picture_of_a_mask_is_kept_without_loss() -> None:
    uri = data_uri(thumbnail(None, paint([Disc(200, 200, 90)], (400, 400))), 40_000)
    assert uri.startswith("data:image/png;base64,")
    assert len(uri) < 4_000


def test_the_picture_of_a_mask_holds_the_colours_it_was_drawn_in() -> None:
    picture = thumbnail(None, paint([Disc(200, 200, 90), Disc(200, 60, 40)], (400, 400)))
    data = base64.b64decode(data_uri(picture, 40_000).partition(",")[2])
    assert (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) == MASK_COLOURS[picture]).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 16), st.integers(0, 2**32))
def test_a_picture_of_few_colours_reads_back_as_it_was(height: int, width: int, colours: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    palette = generator.integers(0, 256, (colours, 3)).astype(np.uint8)
    numbers = generator.integers(0, colours, (height, width)).astype(np.uint8)
    with Image.open(io.BytesIO(indexed_png(numbers, palette))) as read:
        assert (np.asarray(read.convert("RGB")) == palette[numbers]).all()


def test_a_picture_of_too_many_colours_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 16"):
        indexed_png(np.zeros((2, 2), np.uint8), np.zeros((17, 3), np.uint8))


def test_a_picture_of_a_mask_keeps_to_its_bytes_too() -> None:
    noise = np.random.default_rng(0).integers(0, len(MASK_COLOURS), (400, 400)).astype(np.uint8)
    assert len(data_uri(noise, 20_000)) <= 20_000
