"""Text that names nobody."""

from __future__ import annotations

import pytest

from cellmonai.core.anonymous import Names, without_names

ADA = Names(homes=("/mnt/homes/ada", "/home/ada"), users=("ada",), hosts=("lab7.example.org", "lab7"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("/home/ada/.cache/x", "~/.cache/x", id="below the home"),
        pytest.param("/home/ada", "~", id="the home"),
        pytest.param("/mnt/homes/ada/x", "~/x", id="the home without links"),
        pytest.param("/home/adam/x", "/home/adam/x", id="another user's home"),
        pytest.param("cannot open '/home/ada/a b.so': gone", "cannot open '~/a b.so': gone", id="in a sentence"),
        pytest.param("/scratch/ada/masks", "/scratch/USER/masks", id="a folder named after the user"),
        pytest.param(r"D:\ada\masks", r"D:\USER\masks", id="on Windows"),
        pytest.param("/net/lab7/data", "/net/HOST/data", id="a folder named after the machine"),
        pytest.param("adaptive, ada", "adaptive, ada", id="words that are no folders"),
    ],
)
def test_homes_are_shortened_and_folders_named_after_user_or_machine_are_hidden(text: str, shown: str) -> None:
    assert ADA.hide(text) == shown


def test_a_home_that_is_the_root_of_all_folders_hides_nothing() -> None:
    assert Names(homes=("/",), users=("",), hosts=("",)).hide("/data/x") == "/data/x"


def test_names_are_hidden_everywhere_in_a_document() -> None:
    document = {"a": ["/home/ada/x", 1, None], "b": {"c": ("/tmp/ada",)}}
    assert without_names(document, ADA) == {"a": ["~/x", 1, None], "b": {"c": ["/tmp/USER"]}}


def test_the_names_of_this_machine_are_known() -> None:
    names = Names.here()
    assert all(names.hide(f"{home}/x") == "~/x" for home in names.homes if len(home) > 1)
