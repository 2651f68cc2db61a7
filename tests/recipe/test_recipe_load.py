"""A recipe is loaded whole, or refused with the file, the line and the key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cellmonai.core.errors import CellmonaiError, InputError, RecipeError
from cellmonai.recipe.load import LoadedRecipe, load_recipe

FIVE_LINES = """\
data.layout = "pairs"
data.root = "cells"
network.name = "basic_unet"
loss.name = "dice"
training.epochs = 3
"""


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str | bytes, *overrides: str, name: str = "recipe.toml") -> LoadedRecipe:
    path = Path(name)
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_recipe(path, overrides)


def refusal(text: str | bytes, *overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(text, *overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_five_lines_do() -> None:
    recipe = load(FIVE_LINES).recipe
    assert recipe.training.epochs == 3
    assert recipe.loss.name == "dice"
    assert recipe.sampling.patch == 256
    assert [step.name for step in recipe.augment][:3] == ["RandFlip", "RandFlip", "RandRotate90"]
    assert recipe.instances.threshold == "auto"


def test_every_section_can_be_filled_in() -> None:
    recipe = load(
        """
        augment = [{ name = "RandZoom", min_zoom = 0.9, padding_mode = "zeros" }]
        [data]
        layout = "dsb2018"
        tables = ["a.csv"]
        channels = ["DAPI", 1]
        axes = "YXC"
        pixel_size_um = [0.5, 1]
        group_by = '^(C\\d+)'
        select = { stain = "w1", sample = [1, 2], good = true }
        split = { train = 0.5, validation = 0.25, seed = 7 }
        [normalise]
        method = "range"
        low = 0
        high = 255
        [network]
        name = "monai_attention_unet"
        levels = 3
        [loss]
        name = "tversky"
        fn_weight = 0.8
        [training]
        workers = 2
        max_minutes = 4
        [inference]
        window = 512
        stitch = "gaussian"
        [instances]
        threshold = 0.4
        """
    ).recipe
    assert recipe.augment[0].parameters == {"prob": 0.3, "min_zoom": 0.9, "max_zoom": 1.25, "padding_mode": "zeros"}
    assert recipe.data.select == {"stain": "w1", "sample": (1, 2), "good": True}
    assert recipe.data.pixel_size_um == (0.5, 1.0)
    assert recipe.data.channels == ("DAPI", 1)
    assert recipe.data.split.train + recipe.data.split.validation == 0.75
    assert recipe.network.parameters == {"levels": 3}
    assert recipe.loss.parameters == {"fn_weight": 0.8}
    assert (recipe.training.workers, recipe.training.max_minutes) == (2, 4.0)
    assert (recipe.inference.window, recipe.inference.stitch, recipe.instances.threshold) == (512, "gaussian", 0.4)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        pytest.param(
            "[training]\nepoch = 3",
            "recipe.toml:4 training.epoch: unknown key; did you mean training.epochs?",
            id="key with a typo",
        ),
        pytest.param(
            "[trainin]\nepochs = 3",
            "recipe.toml:3 trainin: unknown key; did you mean training?",
            id="section with a typo",
        ),
        pytest.param(
            "[training]\npatch = 64",
            "recipe.toml:4 training.patch: unknown key; did you mean sampling.patch?",
            id="key of another section",
        ),
        pytest.param(
            "[data.split]\nsed = 1",
            "recipe.toml:4 data.split.sed: unknown key; did you mean data.split.seed?",
            id="key of a section in a section",
        ),
        pytest.param(
            "[sampling]\noverlap = 32",
            "recipe.toml:4 sampling.overlap: method 'random' has no overlap; take it out or use method 'grid'.",
            id="overlap of random crops",
        ),
        pytest.param(
            '[sampling]\nmethod = "grid"\nper_image = 3',
            "recipe.toml:5 sampling.per_image: method 'grid' has no per_image; take it out or use method 'random'.",
            id="number of crops of a grid",
        ),
        pytest.param(
            '[sampling]\nmethod = "grid"\npatch = 64\noverlap = 64',
            "recipe.toml:6 sampling.overlap: overlap is 64, not below patch, which is 64; lower it.",
            id="overlap as wide as the crop",
        ),
        pytest.param(
            "[training]\nepochs = 9\nphases = [{ epochs = 4 }, { epochs = 4 }]",
            "recipe.toml:4 training.epochs: epochs is 9 and the phases have 8; leave epochs out.",
            id="epochs beside phases",
        ),
        pytest.param(
            '[training]\nphases = [{ epochs = 4, augment = ["RandFlop"] }]',
            "recipe.toml:3 training: training.phases.0 uses 'RandFlop', which no [[augment]] names; did you mean "
            "'RandFlip'?",
            id="phase with an unknown augmentation",
        ),
        pytest.param(
            "[[training.phases]]\nepochs = 4\naugmen = true",
            "recipe.toml:5 training.phases.0.augmen: unknown key; did you mean training.phases.augment?",
            id="key of a phase",
        ),
        pytest.param(
            "[[training.phases]]\nepochs = 4\nmin_foreground_px = 6",
            "recipe.toml:3 training: training.phases.0.min_foreground_px chooses from crops of a grid and "
            "sampling.method is 'random'; take it out, or set sampling.method to 'grid'.",
            id="filter of random crops",
        ),
        pytest.param(
            '[loss]\nname = "dice"\nparts = [{ name = "dice" }]',
            "recipe.toml:5 loss.parts: loss 'dice' has no parts; leave name out or make it 'combo'.",
            id="loss with a name and parts",
        ),
        pytest.param(
            '[loss]\nname = "combo"',
            'recipe.toml:3 loss.parts: combo sums parts and none is given; add parts = [{ name = "dice" }, …].',
            id="sum of nothing",
        ),
        pytest.param(
            "[target]\nxyz = 1",
            "recipe.toml:4 target.xyz: unknown key; use one of kind, weight_map.",
            id="key like no other",
        ),
        pytest.param(
            "[training]\nepochs = 0", "recipe.toml:4 training.epochs: expected 1 or more, found 0.", id="too small"
        ),
        pytest.param(
            "[training]\nepochs = '3'",
            "recipe.toml:4 training.epochs: expected a whole number, found '3'.",
            id="text for a number",
        ),
        pytest.param(
            "[training]\nepochs = 2.5",
            "recipe.toml:4 training.epochs: expected a whole number, found 2.5.",
            id="fraction for a whole number",
        ),
        pytest.param(
            "[training]\nlearning_rate = nan",
            "recipe.toml:4 training.learning_rate: expected a finite number, found nan.",
            id="not a number",
        ),
        pytest.param(
            "[training]\nworkers = 'many'",
            "recipe.toml:4 training.workers: expected 'auto' or a whole number, found 'many'.",
            id="neither of two kinds",
        ),
        pytest.param(
            "[training]\nworkers = -1",
            "recipe.toml:4 training.workers: expected 0 or more, found -1.",
            id="kind fits, value not",
        ),
        pytest.param(
            "[training]\noptimizer = 'adm'",
            "recipe.toml:4 training.optimizer: expected 'adam', 'adamw' or 'sgd', found 'adm'; did you mean 'adam'?",
            id="word with a typo",
        ),
        pytest.param(
            "[training]\nvalidate_every = 60",
            "recipe.toml:4 training.validate_every: validate_every is 60, more than the 50 epochs; "
            "lower it, the best epoch is chosen by validation.",
            id="never validated",
        ),
        pytest.param(
            "[data.split]\ntrain = 0.9",
            "recipe.toml:3 data.split.validation: train and validation make 1.1; lower one, they may make 1 at most.",
            id="shares above one",
        ),
        pytest.param(
            "[normalise]\nmethod = 'zscore'\nlow = 1",
            "recipe.toml:5 normalise.low: method 'zscore' has no low; take it out.",
            id="bound of a method that has none",
        ),
        pytest.param(
            "[normalise]\nmethod = 'range'\nlow = 1",
            "recipe.toml:4 normalise.method: method 'range' needs low and high; "
            "add both, such as low = 0 and high = 255.",
            id="range without its end",
        ),
        pytest.param(
            "[normalise]\nlow = 99.9",
            "recipe.toml:4 normalise.low: low is 99.9, not below high, which is 99.8; swap or change them.",
            id="bounds crossed",
        ),
        pytest.param(
            "[normalise]\nhigh = 101",
            "recipe.toml:4 normalise.high: a percentile lies in 0 to 100; use one in there.",
            id="percentile beyond 100",
        ),
        pytest.param(
            "[instances]\nmax_area_px = 5",
            "recipe.toml:4 instances.max_area_px: max_area_px is 5, below min_area_px, which is 10; "
            "raise it or lower min_area_px.",
            id="areas crossed",
        ),
        pytest.param(
            "[[augment]]\nname = 'RandFlip'\n[[augment]]\nname = 'Rand2DElastik'",
            "recipe.toml:6 augment.1.name: unknown augmentation 'Rand2DElastik'; did you mean 'Rand2DElastic'?",
            id="unknown augmentation",
        ),
        pytest.param(
            "[[augment]]\nname = 'RandAffine'\nrotation = 1",
            "recipe.toml:5 augment.0.rotation: RandAffine has no parameter 'rotation'; did you mean 'rotate_range'?",
            id="unknown parameter of an augmentation",
        ),
        pytest.param(
            "[[augment]]\nname = 'RandFlip'\nprob = 2",
            "recipe.toml:5 augment.0.prob: expected 0 to 1, found 2.",
            id="parameter of an augmentation out of bounds",
        ),
        pytest.param(
            "[[augment]]\nname = 'RandZoom'\nmin_zoom = 1.5",
            "recipe.toml:5 augment.0.min_zoom: min_zoom is above max_zoom; swap or change them.",
            id="zoom crossed",
        ),
        pytest.param(
            "[[augment]]\nprob = 1",
            "recipe.toml:3 augment.0.name: is missing; add name = … to [augment.0].",
            id="no name",
        ),
        pytest.param(
            "augment = 3\n[target]", "recipe.toml:3 data.augment: unknown key; did you mean augment?", id="key too deep"
        ),
        pytest.param(
            "pixel_size_um = [0.5]",
            "recipe.toml:3 data.pixel_size_um: expected two numbers (y, x).",
            id="one number for two",
        ),
        pytest.param(
            "pixel_size_um = 0.5",
            "recipe.toml:3 data.pixel_size_um: expected a list [ … ], found 0.5.",
            id="number for a list",
        ),
        pytest.param(
            "axes = 'yxc'", "recipe.toml:3 data.axes: expected capital letters such as YXC, found 'yxc'.", id="axes"
        ),
        pytest.param("channels = []", "recipe.toml:3 data.channels: expected at least one, found [].", id="empty list"),
        pytest.param(
            "group_by = '(a)(b)'",
            "recipe.toml:3 data.group_by: '(a)(b)' has 2 groups in ( ); leave one, as in '(C\\d+_s\\d+)'.",
            id="pattern with two groups",
        ),
        pytest.param(
            "group_by = '(a'",
            "recipe.toml:3 data.group_by: '(a' is no regular expression "
            "(missing ), unterminated subpattern at position 0); correct it.",
            id="no pattern",
        ),
        pytest.param(
            "root = 2024", "recipe.toml:3 data.root: expected a path as text, found 2024.", id="number for a path"
        ),
        pytest.param(
            "[network]\nname = ['a']", "recipe.toml:4 network.name: expected text, found ['a'].", id="list for a name"
        ),
        pytest.param(
            "[training]\nepoch = 3\nseeds = 1\nbatch = 2",
            "recipe.toml:4 training.epoch: unknown key; did you mean training.epochs? (and 2 more)",
            id="several faults: the first in the file, and how many more",
        ),
    ],
)
def test_a_wrong_recipe_says_where_and_what_to_do(more: str, sentence: str) -> None:
    said = refusal(f"[data]\nlayout = 'pairs'\n{more}\n")
    assert said.rstrip(".?") == sentence.rstrip(".?")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("", "recipe.toml data: is missing; add a section [data] with root", id="empty file"),
        pytest.param("data = 3", "recipe.toml:1 data: expected a section or table, found 3", id="number for a section"),
        pytest.param(
            "[data]\nlayout = pairs",
            "recipe.toml:2: is not TOML: invalid value; text stands in quotes",
            id="missing quotes",
        ),
        pytest.param("[data]\na = 1\na = 2", "recipe.toml:3: is not TOML: cannot overwrite a value", id="key twice"),
        pytest.param("[data", "recipe.toml:1: is not TOML: expected ']'", id="cut short"),
        pytest.param(b"\x89PNG\r\n\x1a\n\xff", "recipe.toml:1: is not UTF-8 text; save it as UTF-8", id="an image"),
        pytest.param("[data]\n".encode("utf-16"), "recipe.toml:1: is not UTF-8 text", id="UTF-16"),
        pytest.param("a = " + "[" * 5000, "recipe.toml: is nested too deeply", id="nested without end"),
        pytest.param("a = " + "9" * 5000, "recipe.toml:1: is not TOML: exceeds the limit", id="number without end"),
        pytest.param("#" * (1 << 20) + "\n", "recipe.toml: is too large for a recipe", id="too large"),
    ],
)
def test_what_is_no_recipe_is_refused(content: str | bytes, sentence: str) -> None:
    assert refusal(content).startswith(sentence)


def test_missing_files_and_folders_are_inputs_that_cannot_be_read() -> None:
    with pytest.raises(InputError, match=r"no.toml: there is no such recipe; cellmonai recipe init DATA writes one"):
        load_recipe(Path("no.toml"))
    Path("folder").mkdir()
    with pytest.raises(InputError, match=r"folder: is a folder, not a recipe; cellmonai recipe init folder"):
        load_recipe(Path("folder"))


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    assert load(b"\xef\xbb\xbf" + FIVE_LINES.replace("\n", "\r\n").encode()).recipe.training.epochs == 3


def test_paths_are_relative_to_the_recipe_and_then_to_the_root(tmp_path: Path) -> None:
    text = '[data]\nlayout = "pairs"\nroot = "../cells"\nmasks = "labels_fixed"\n'
    text += 'tables = ["a.csv"]\nimages = "/elsewhere"\n'
    data = load(text, name="recipes/r.toml").recipe.data
    assert data.root == tmp_path / "cells"
    assert data.masks == tmp_path / "cells" / "labels_fixed"
    assert data.tables == (tmp_path / "cells" / "a.csv",)
    assert data.images == Path("/elsewhere")


def test_without_a_root_folders_are_relative_to_the_recipe(tmp_path: Path) -> None:
    data = load('[data]\nlayout = "pairs"\nimages = "i"\nmasks = "m"\n', name="sub/r.toml").recipe.data
    assert (data.root, data.images, data.masks) == (None, tmp_path / "sub" / "i", tmp_path / "sub" / "m")


def test_a_root_from_the_command_line_is_relative_to_the_current_folder(tmp_path: Path) -> None:
    text = '[data]\nlayout = "pairs"\nroot = "cells"\nmasks = "labels"\n'
    data = load(text, "data.root=other", name="recipes/r.toml").recipe.data
    assert (data.root, data.masks) == (tmp_path / "other", tmp_path / "other" / "labels")


def test_the_home_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load(FIVE_LINES, "data.root=~/cells").recipe.data.root == tmp_path / "home" / "cells"


def test_a_path_that_is_no_text_is_refused() -> None:
    assert refusal(FIVE_LINES, "data.root=\udcff") == "--set data.root: the path is not UTF-8; rename the folder."


def test_a_value_tells_its_source() -> None:
    loaded = load(FIVE_LINES + 'augment = [{ name = "RandFlip" }]\n', "sampling.patch=64", "training.seed=1")
    assert loaded.source_of("training.epochs") == "recipe"
    assert loaded.source_of("training.seed") == "--set"
    assert loaded.source_of("sampling.patch") == "--set"
    assert loaded.source_of("training.batch_size") == "default"
    assert loaded.source_of("augment.0.name") == "recipe"
    assert loaded.source_of("augment.0.prob") == "default"


def test_another_stage_can_refuse_a_value_with_its_line() -> None:
    loaded = load(FIVE_LINES, "network.width=7")
    assert str(loaded.error("network.name", "unknown network", "use a known one")) == (
        "recipe.toml:3 network.name: unknown network; use a known one."
    )
    assert str(loaded.error("network.width", "too small")) == "--set network.width: too small."
    assert str(loaded.error("data.select", "selects none")) == "recipe.toml:1 data.select: selects none."
    with pytest.raises(RecipeError, match=r"recipe.toml:4 loss.name: unknown"), loaded.located():
        raise RecipeError("unknown", where="loss.name")
    with pytest.raises(RecipeError, match=r"^elsewhere: unknown"), loaded.located():
        raise RecipeError("unknown", where="elsewhere")


def test_exit_codes_are_those_of_the_contract() -> None:
    for kind, code in ((InputError, 3), (RecipeError, 4)):
        assert issubclass(kind, CellmonaiError)
        assert kind.exit_code == code


def test_loading_a_recipe_imports_neither_torch_nor_images() -> None:
    Path("r.toml").write_text(FIVE_LINES)
    code = (
        "import sys; from pathlib import Path; from cellmonai.recipe.load import load_recipe; "
        "load_recipe(Path('r.toml')); "
        "assert not {'torch', 'monai', 'scipy', 'numpy', 'skimage'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
