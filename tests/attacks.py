"""What an attacker may do to an artifact, one function per tampering, and the rules that must refuse it.

A tampering on a `folder` gets an artifact's folder; one on a `root` gets the folder in which an artifact has been
published (`artifact`, `artifacts/`). Here are those that change files; `attacks_resealed.py` has those that compute
every digest again, and `ATTACKS` holds them all.
"""

from __future__ import annotations

import os
import shutil
import stat
from functools import partial
from pathlib import Path

import attacks_resealed
from artifact_pipeline.canonical import digest
from forging import (
    ATTACKS,
    FILES_1,
    MANIFEST,
    Attack,
    attack,
    attack_each,
    flip,
    other_model_1,
    register,
    reseal,
    unpack,
)

__all__ = ["ATTACKS", "FILES_1", "MANIFEST", "Attack", "attacks_resealed", "reseal", "unpack"]

# The files of the folder


@attack_each("file-digest")
def one_bit_of_the_first_byte_of(folder: Path, name: str) -> None:
    """A bit is flipped at a file's beginning."""
    flip(folder / name, 0)


@attack_each("file-digest")
def one_bit_of_the_middle_of(folder: Path, name: str) -> None:
    """A bit is flipped in the middle of a file."""
    flip(folder / name, (folder / name).stat().st_size // 2)


@attack_each("file-digest")
def one_bit_of_the_last_byte_of(folder: Path, name: str) -> None:
    """A bit is flipped at a file's end."""
    flip(folder / name, -1)


@attack_each("file-size", "manifest-not-canonical")
def last_byte_taken_from(folder: Path, name: str) -> None:
    """A file is cut short by one byte."""
    os.truncate(folder / name, (folder / name).stat().st_size - 1)


@attack_each("file-size", "manifest-not-canonical")
def byte_added_to(folder: Path, name: str) -> None:
    """A file has one byte more."""
    with (folder / name).open("ab") as file:
        file.write(b"\n")


@attack_each("file-size", "manifest-not-canonical")
def nothing_left_of(folder: Path, name: str) -> None:
    """A file is there, and empty."""
    os.truncate(folder / name, 0)


@attack_each("file-size", "manifest-too-large")
def terabyte_of_holes_after(folder: Path, name: str) -> None:
    """A file claims a terabyte, and takes no room on the disk."""
    os.truncate(folder / name, 1 << 40)


@attack_each("file-missing", "file-missing")
def without(folder: Path, name: str) -> None:
    """A file is missing."""
    (folder / name).unlink()


@attack_each("file-link", "file-link")
def link_to_an_equal(folder: Path, name: str) -> None:
    """A file is a symbolic link to an identical copy outside."""
    copy = folder.parent / f"copy of {name}"
    (folder / name).rename(copy)
    (folder / name).symlink_to(copy)


@attack_each("file-link", "file-link")
def endless_stream_in_place_of(folder: Path, name: str) -> None:
    """A file is a link to a device that never ends."""
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")


@attack_each("file-link", "file-link")
def link_to_itself_in_place_of(folder: Path, name: str) -> None:
    """A file is a link that leads nowhere but back."""
    (folder / name).unlink()
    (folder / name).symlink_to(name)


@attack_each("file-not-regular", "file-not-regular")
def folder_in_place_of(folder: Path, name: str) -> None:
    """A folder stands in a file's place."""
    (folder / name).unlink()
    (folder / name).mkdir()


@attack_each("file-not-regular", "file-not-regular")
def fifo_in_place_of(folder: Path, name: str) -> None:
    """A FIFO stands in a file's place, and nobody ever writes to it."""
    (folder / name).unlink()
    os.mkfifo(folder / name)


@attack_each("file-not-regular", "file-not-regular")
def socket_in_place_of(folder: Path, name: str) -> None:
    """A socket stands in a file's place."""
    (folder / name).unlink()
    os.mknod(folder / name, stat.S_IFSOCK | 0o600)


@attack("file-unlisted")
def file_more(folder: Path) -> None:
    """A file is there that the manifest does not list."""
    (folder / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")


@attack("file-unlisted")
def hidden_file_more(folder: Path) -> None:
    """An unlisted file hides behind a leading dot."""
    (folder / ".model.onnx").write_bytes((folder / "model.onnx").read_bytes())


@attack("file-unlisted")
def folder_more(folder: Path) -> None:
    """A folder is there, with files of its own."""
    (folder / "code").mkdir()
    (folder / "code" / "model.py").write_text("raise SystemExit")


@attack("file-unlisted")
def dangling_link_more(folder: Path) -> None:
    """A link to nothing is there."""
    (folder / "later").symlink_to("nowhere")


@attack("file-unlisted")
def file_whose_name_a_terminal_would_obey(folder: Path) -> None:
    """The name of an unlisted file clears the screen and says that all is well."""
    (folder / "\x1b[2J\x1b[Hverified: all is well\r\n\x07\u202e").touch()


@attack("file-unlisted")
def file_whose_name_is_no_utf8(folder: Path) -> None:
    """The name of an unlisted file is not even text."""
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).touch()


@attack("too-many-entries")
def thousand_files_more(folder: Path) -> None:
    """The folder holds more names than an artifact can have."""
    for index in range(1000):
        (folder / f"file-{index}").touch()


@attack("file-missing", "file-unlisted")
def model_under_another_name(folder: Path) -> None:
    """The model is there, spelled otherwise: one file too few and one too many."""
    (folder / "model.onnx").rename(folder / "Model.onnx")


@attack("file-size")
def two_files_swapped(folder: Path) -> None:
    """Two files have changed their names."""
    (folder / "split.bin").rename(folder / "aside")
    (folder / "model.onnx").rename(folder / "split.bin")
    (folder / "aside").rename(folder / "model.onnx")


@attack("file-digest")
def model_of_another_artifact(folder: Path) -> None:
    """The model is another one, of the same size."""
    (folder / "model.onnx").write_bytes(other_model_1())


@attack("file-digest")
def manifest_of_another_artifact(folder: Path) -> None:
    """The manifest is the valid one of another artifact, with files of the same names and sizes."""
    other = folder.parent / "other"
    shutil.copytree(folder, other)
    reseal(other, model=other_model_1())
    shutil.copy(other / MANIFEST, folder / MANIFEST)


@attack("file-digest", "file-link", "file-missing", "file-not-regular", "file-size", "file-unlisted")
def everything_at_once(folder: Path) -> None:
    """Six files are each wrong in a way of its own, and each is named."""
    flip(folder / "model.onnx", 100)
    link_to_an_equal(folder, "parameters.npz")
    without(folder, "reference.json")
    fifo_in_place_of(folder, "selftest.json")
    byte_added_to(folder, "split.bin")
    file_more(folder)


# The store and its pointer


def _stored(root: Path) -> Path:
    """The folder that the pointer leads to."""
    return (root / "artifact").resolve()


def _point(root: Path, target: str) -> None:
    (root / "artifact").unlink()
    (root / "artifact").symlink_to(target)


@attack("store-name", on="root")
def stored_manifest_changed_in_place(root: Path) -> None:
    """The manifest in the store is whole and valid, and not the one that its folder's name promises."""
    reseal(_stored(root), {"name": "other"})


@attack("store-name", on="root")
def stored_folder_under_another_name(root: Path) -> None:
    """A folder in the store has another digest's name, and the pointer leads to it."""
    folder = _stored(root)
    folder.rename(folder.with_name("0" * 64))
    _point(root, f"artifacts/{'0' * 64}")


def _disguise(root: Path, links: tuple[tuple[str, str], ...]) -> None:
    """Change the stored manifest, and lead to its folder by links that are not spelled as a pointer is."""
    stored = _stored(root)
    reseal(stored, {"name": "other"})
    (root / "artifact").unlink()
    for place, target in links:
        (root / place).symlink_to(target.replace("HEX", stored.name).replace("ROOT", str(root)))


_DISGUISES: dict[str, tuple[tuple[str, str], ...]] = {
    "absolute pointer": (("artifact", "ROOT/artifacts/HEX"),),
    "pointer by way of its own folder": (("artifact", "artifacts/../artifacts/HEX"),),
    "pointer with a dot before it": (("artifact", "./artifacts/HEX"),),
    "pointer with a dot behind it": (("artifact", "artifacts/HEX/."),),
    "pointer with a slash behind it": (("artifact", "artifacts/HEX/"),),
    "pointer into the folder and out again": (("artifact", "artifacts/HEX/../HEX"),),
    "pointer in a chain of links": (("artifact", "second"), ("second", "third"), ("third", "artifacts/HEX")),
    "pointer to a store that is a link": (("stores", "artifacts"), ("artifact", "stores/HEX")),
}
for _name, _links in _DISGUISES.items():
    register(f"changed in place behind a link: {_name}", partial(_disguise, links=_links), "store-name", on="root")


@attack("store-name", on="root")
def name_in_the_store_that_is_a_link_out_of_it(root: Path) -> None:
    """A name in the store is kept, and leads to a folder outside that holds something else."""
    stored = _stored(root)
    reseal(stored, {"name": "other"})
    stored.rename(root / "outside")
    stored.symlink_to(root / "outside")


@attack("store-name", on="root")
def pointer_in_words_behind_a_link(root: Path) -> None:
    """A link leads to a one-line pointer, and what that names was changed in place."""
    stored = _stored(root)
    reseal(stored, {"name": "other"})
    (root / "words").write_text(f"artifacts/{stored.name}\n")
    _point(root, "words")


@attack("file-digest", on="root")
def stored_model_changed_in_place(root: Path) -> None:
    """A weight in the store is another."""
    flip(_stored(root) / "model.onnx", 2000)


@attack("gate-failed", on="root")
def pointer_to_a_rejected_candidate(root: Path) -> None:
    """The pointer leads to an artifact of the store whose gate failed."""
    folder = _stored(root)
    failed = folder.with_name("failed")
    shutil.copytree(folder, failed)
    reseal(failed, attacks_resealed.FAILED)
    name = digest((failed / MANIFEST).read_bytes()).removeprefix("sha256:")
    failed.rename(folder.with_name(name))
    _point(root, f"artifacts/{name}")


@attack("artifact-missing", on="root")
def pointer_to_nothing(root: Path) -> None:
    """The pointer leads to an artifact that is no longer there."""
    _point(root, f"artifacts/{'0' * 64}")


@attack("artifact-missing", on="root")
def pointer_to_itself(root: Path) -> None:
    """The pointer leads to itself."""
    _point(root, "artifact")


@attack("artifact-missing", on="root")
def pointers_in_a_ring(root: Path) -> None:
    """Two pointers lead to each other."""
    _point(root, "ring")
    (root / "ring").symlink_to("artifact")


@attack("file-missing", on="root")
def pointer_to_a_folder_outside(root: Path) -> None:
    """The pointer leads out of the store, to a folder that is no artifact."""
    (root / "etc").mkdir()
    (root / "etc" / "passwd").touch()
    _point(root, f"artifacts/../../{root.name}/etc")


@attack("artifact-missing", on="root")
def pointer_to_a_file_outside(root: Path) -> None:
    """The pointer leads to a file of the system."""
    _point(root, "../" * 40 + "etc/passwd")


@attack("artifact-missing", on="root")
def pointer_in_words_that_leads_out(root: Path) -> None:
    """The pointer is a one-line file, as on a system without links, and leads out of the store."""
    (root / "artifact").unlink()
    (root / "artifact").write_text("artifacts/../../etc\n")


@attack("artifact-missing", on="root")
def pointer_that_is_a_fifo(root: Path) -> None:
    """The pointer is a FIFO, and nobody ever writes to it."""
    (root / "artifact").unlink()
    os.mkfifo(root / "artifact")


@attack("artifact-missing", on="root")
def pointer_that_is_gone(root: Path) -> None:
    """There is no pointer."""
    (root / "artifact").unlink()


@attack("file-link", on="root")
def stored_file_that_links_into_another_artifact(root: Path) -> None:
    """Of two equal artifacts in the store, one borrows its model from the other."""
    link_to_an_equal(_stored(root), "model.onnx")
