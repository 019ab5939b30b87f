"""Laws of outputs: whatever the spelling of one file, it is refused as an output beside itself; another never is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from artifact_pipeline.errors import ConfigError
from artifact_pipeline.prediction.run import PredictionRequest, predict
from artifact_pipeline.storage.outputs import Place, refuse_overlap
from rowfiles import train_words, words, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from artifact_pipeline.artifact.manifest import Verified

DETOURS = ["./", "a/../", "a/b/../../", "there/../a/../", "back/", "a/up/", "self/"]
"""Ways from the root of the tree to itself."""
FOLDERS = {"a": ["a/", "there/", "a/b/../"], "a/b": ["a/b/", "there/b/", "deep/"], "": [""]}
"""Ways from there to a folder."""
NAMES = ["one.csv", "two.csv", "named.csv", "linked.csv"]
"""In each folder: two files, another name of the first, and a link to the second."""
SAME = [("one.csv", "named.csv"), ("two.csv", "linked.csv")]
"""The names of one file."""


@pytest.fixture(scope="module")
def of_words(tmp_path_factory: pytest.TempPathFactory) -> Verified:
    return train_words(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders, links to them, and files of several names; the working folder."""
    root, before = tmp_path_factory.mktemp("tree"), Path.cwd()
    (root / "a" / "b").mkdir(parents=True)
    for link, end in (("there", "a"), ("deep", "a/b"), ("back", "a/.."), ("self", "."), ("a/up", "..")):
        (root / link).symlink_to(end)
    for folder in FOLDERS:
        write_rows(root / folder / "one.csv", words(rows=5, seed=len(folder)))
        write_rows(root / folder / "two.csv", words(rows=5, seed=9 + len(folder)))
        (root / folder / "named.csv").hardlink_to(root / folder / "one.csv")
        (root / folder / "linked.csv").symlink_to("two.csv")
    os.chdir(root)
    yield root
    os.chdir(before)


@st.composite
def spelled(draw: st.DrawFn, folder: str | None = None, names: Sequence[str] = (*NAMES, "new.csv")) -> str:
    """The place of a file of the tree, relative or absolute, by any number of detours."""
    start = draw(st.sampled_from(["", "./", "{root}/", "{root}//", "{root}/a/../"]))
    detours = "".join(draw(st.lists(st.sampled_from(DETOURS), max_size=3)))
    folder = draw(st.sampled_from(sorted(FOLDERS))) if folder is None else folder
    way = draw(st.sampled_from(FOLDERS[folder]))
    return start + detours + way + draw(st.sampled_from(names))


@st.composite
def spelled_twice(draw: st.DrawFn) -> tuple[str, str]:
    """Two places of one file of the tree."""
    one = spelled(draw(st.sampled_from(sorted(FOLDERS))), draw(st.sampled_from(SAME)))
    return draw(one), draw(one)


def refusal(inputs: list[Place], outputs: list[Place]) -> ConfigError | None:
    """How they are refused, if they are."""
    try:
        refuse_overlap(inputs, outputs)
    except ConfigError as error:
        return error
    return None


@given(read=spelled(), written=spelled())
@example(read="one.csv", written="{root}/a/../named.csv")
@example(read="a/linked.csv", written="there/two.csv")
@example(read="a/one.csv", written="a/two.csv")
def test_one_file_is_refused_and_others_are_not(tree: Path, read: str, written: str) -> None:
    """An output is refused just where the system says that both names lead to one file."""
    read, written = read.format(root=tree), written.format(root=tree)
    assume("new" not in read)
    same = Path(written).exists() and Path(read).samefile(written)
    refused = refusal([Place("the input", read)], [Place("--output", written)])
    assert same == (refused is not None)
    if refused is not None:
        (problem,) = refused.problems
        assert (problem.rule, read in problem.message, written in problem.message) == ("output-is-input", True, True)


@given(first=spelled(), second=spelled())
def test_two_outputs_of_one_place_are_refused(tree: Path, first: str, second: str) -> None:
    """Likewise for two outputs, and also where nothing is there yet."""
    first, second = first.format(root=tree), second.format(root=tree)
    same = os.path.realpath(first) == os.path.realpath(second)
    same = same or (Path(first).exists() and Path(second).exists() and Path(first).samefile(second))
    refused = refusal([], [Place("--output", first), Place("--receipt", second)])
    assert (refused.rules if refused else set()) == ({"outputs-overlap"} if same else set())


@given(places=spelled_twice())
def test_a_refused_file_keeps_its_bytes(of_words: Verified, tree: Path, places: tuple[str, str]) -> None:
    """`predict` refuses an output that is its input by any name, and no file of the tree is changed or new."""
    read, written = (place.format(root=tree) for place in places)
    before = {path: path.read_bytes() for path in tree.rglob("*.*")}
    with pytest.raises(ConfigError) as caught:
        predict(PredictionRequest(of_words, (read,), written))
    assert caught.value.rules == {"output-is-input"}
    assert {path: path.read_bytes() for path in tree.rglob("*.*")} == before


@given(folder=st.sampled_from(["a", "there", "a/b", "deep", "back/a", "{root}/a/up/there"]), written=spelled())
def test_what_lies_in_a_folder_that_is_read_is_refused(tree: Path, folder: str, written: str) -> None:
    """An output in a folder of inputs, however deep and by whatever way, is refused; one beside it is not."""
    folder, written = folder.format(root=tree), written.format(root=tree)
    inside = any(
        Path(path).is_relative_to(os.path.realpath(folder))
        for path in (os.path.realpath(written), os.path.realpath(Path(written).parent))
    )
    refused = refusal([Place("the input", folder, "folder")], [Place("--output", written)])
    assert (refused.rules if refused else set()) == ({"output-among-inputs"} if inside else set())
