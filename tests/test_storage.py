"""Places: local files and objects in a store, read whole and unchanged, written whole or not at all."""

from __future__ import annotations

import os
import socket
from threading import Barrier
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc, parquet

from artifact_pipeline.cli import main
from artifact_pipeline.config import from_mapping
from artifact_pipeline.errors import ConfigError, DataRejected, StorageError
from artifact_pipeline.prediction.proof import prove
from artifact_pipeline.storage import objects
from artifact_pipeline.storage import places as storage
from artifact_pipeline.storage.waiting import ask_several
from artifact_pipeline.training.candidate import train
from artifact_pipeline.training.publication import publish
from buckets import Bucket, empty_bucket, s3_server
from registries import Request, Response, forward, relay
from tables import blobs, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAMES = ["plain.csv", "with space.csv", "per%20cent.csv", "ünï/cödé.csv", "a+b=c&d.csv", "we*rd[1].csv", "x#y?z.csv"]
DATA = bytes(range(256)) * 40_000
"""Ten megabytes: more than one request brings, and than one request sends."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def store(server: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, and an environment that leads to it."""
    return empty_bucket(server, monkeypatch)


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, store: Bucket) -> None:
    """An environment that leads to a port where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the artifact of a model of two columns."""
    folder = tmp_path_factory.mktemp("model")
    table = write_table(folder / "trained.parquet", blobs(["no", "yes"]))
    mapping = {"C": 1.0, "solver": "lbfgs", "max_iter": 1000, "dataset": {"path": str(table), "target": "label"}}
    trained = train(from_mapping(mapping), progress=lambda _: None)
    publish(trained, artifact=folder / "artifact", export=folder / "model_train.pkl")
    return folder


@pytest.fixture
def predict(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Run `predict` in `tmp_path`; its status."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: main(["predict", *map(str, arguments), "--artifact", str(model / "artifact"), "--quiet"])


def read(place: str) -> bytes:
    with storage.opened(place) as file:
        return file.file.read()


# --- here


def test_local_file_is_read_and_known_by_its_time(tmp_path: Path) -> None:
    """An open file tells its size, and a stamp that another time changes."""
    (tmp_path / "file").write_bytes(DATA)
    with storage.opened(str(tmp_path / "file")) as file:
        assert (file.file.read(), file.size) == (DATA, len(DATA))
        before = file.stamp
    os.utime(tmp_path / "file", ns=(1, 1))
    with storage.opened(str(tmp_path / "file")) as file:
        assert file.stamp != before


@pytest.mark.parametrize(
    ("make", "rule"),
    [(str, "missing-file"), (os.mkdir, "unreadable"), (os.mkfifo, "unreadable")],
    ids=["missing", "folder", "FIFO"],
)
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[..., None], rule: str) -> None:
    """A missing file, a folder and a pipe are refused, and nobody waits for a writer."""
    make(tmp_path / "thing")
    with pytest.raises(DataRejected) as refused, storage.opened(str(tmp_path / "thing")):
        pass
    assert refused.value.rules == {rule}


def test_local_file_that_changes_under_the_reader_is_refused(tmp_path: Path) -> None:
    """A file that is written while it is read is refused at the end."""
    (tmp_path / "file").write_bytes(DATA)
    with pytest.raises(DataRejected) as refused, storage.opened(str(tmp_path / "file")):
        (tmp_path / "file").write_bytes(DATA[1:])
    assert refused.value.rules == {"changed"}


def _write_and_fail(file: BinaryIO) -> None:
    file.write(DATA)
    raise ZeroDivisionError


@pytest.mark.parametrize("kind", ["local", "object"])
def test_write_is_whole_or_not_at_all(kind: str, tmp_path: Path, store: Bucket) -> None:
    """A block that fails leaves what stood there before, and nothing beside it; one that ends well replaces it."""
    place = str(tmp_path / "file") if kind == "local" else "s3://bucket/file"
    storage.write(place, b"before")
    with pytest.raises(ZeroDivisionError), storage.staged(place) as file:
        _write_and_fail(file)
    assert read(place) == b"before"
    with storage.staged(place) as file:
        file.write(DATA)
        assert read(place) == b"before"
    assert read(place) == DATA
    assert [path.name for path in tmp_path.iterdir()] == (["file"] if kind == "local" else [])
    assert store.names() == ([] if kind == "local" else ["file"])


@pytest.mark.parametrize("kind", ["local", "object"])
def test_small_files(kind: str, tmp_path: Path, store: Bucket) -> None:
    """A small file is read whole, is None where there is none, is refused where it is too large, and is removed."""
    place = str(tmp_path / "file") if kind == "local" else "s3://bucket/file"
    assert storage.read(place, 10) is None
    storage.write(place, b"0123456789")
    assert storage.read(place, 10) == b"0123456789"
    with pytest.raises(DataRejected) as refused:
        storage.read(place, 9)
    assert refused.value.rules == {"too-large"}
    storage.remove(place)
    storage.remove(place)
    assert storage.read(place, 10) is None


def test_local_file_that_cannot_be_removed_is_said(tmp_path: Path) -> None:
    """Where a file cannot be removed there is one error of its kind."""
    with pytest.raises(StorageError, match="cannot write"):
        storage.remove(str(tmp_path))


# --- objects


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_object_of_any_name(store: Bucket, name: str) -> None:
    """An object is written, listed, read and removed under the very name that its URL says, whatever its letters."""
    url = f"s3://bucket/folder/{name}"
    storage.write(url, DATA)
    assert store.names() == [f"folder/{name}"]
    assert store.get(f"folder/{name}") == DATA
    assert [each.name for each in storage.list_files("s3://bucket/folder/")] == [name]
    assert storage.list_files(url) == [storage.StoredFile(url, name.rpartition("/")[2], len(DATA))]
    assert read(url) == DATA
    storage.remove(url)
    assert store.names() == []


def test_object_is_read_from_anywhere(store: Bucket) -> None:
    """An object is read by position, forwards and backwards, to its end and beyond it."""
    with storage.opened(store.put("object", DATA)) as file:
        assert (file.size, file.path) == (len(DATA), None)
        for at in (0, len(DATA) - 3, 9_000_000, 17):
            file.file.seek(at)
            assert file.file.read(1000) == DATA[at : at + 1000]
            assert file.file.tell() == min(at + 1000, len(DATA))
        file.file.seek(0, os.SEEK_END)
        assert file.file.read(10) == b""


def test_digest_of_an_object(store: Bucket) -> None:
    """The digest of an object is that of its bytes."""
    import hashlib

    with storage.opened(store.put("object", DATA)) as file, storage.Digesting(file) as digesting:
        assert digesting.result() == hashlib.sha256(DATA).hexdigest()


def test_digest_of_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A file that is closed while it is hashed gives an error, whatever its kind, and no digest of a part of it."""
    (tmp_path / "file").write_bytes(DATA)
    with storage.opened(str(tmp_path / "file")) as file:
        pass
    with storage.Digesting(file) as digesting, pytest.raises(ValueError, match="closed file"):
        digesting.result()


def test_object_that_changes_under_the_reader_is_refused(store: Bucket) -> None:
    """An object that is replaced while it is read is refused at the end, and so is one that goes."""
    url = store.put("object", DATA)
    with pytest.raises(DataRejected) as refused, storage.opened(url):
        store.put("object", DATA[::-1])
    assert refused.value.rules == {"changed"}
    with pytest.raises(DataRejected) as refused, storage.opened(url):
        storage.remove(url)
    assert refused.value.rules == {"missing-file"}


def test_objects_are_listed_below_a_folder_alone(store: Bucket) -> None:
    """A folder's objects are listed by name, not those of a folder whose name begins alike, nor a folder's marker."""
    for name in ("rows/b.csv", "rows/a.csv", "rows/sub/c.csv", "rows2/d.csv", "rows.csv"):
        store.put(name, b"x")
    for marker in ("rows/", "rows/empty/"):
        store.put(marker, b"")
    for url in ("s3://bucket/rows", "s3://bucket/rows/"):
        assert [each.name for each in storage.list_files(url)] == ["a.csv", "b.csv", "sub/c.csv"]
    assert next(each.name for each in storage.list_files("s3://bucket")) == "rows.csv"
    assert storage.list_files("s3://bucket/none/") == storage.list_files("s3://bucket/none") == []
    assert [each.name for each in storage.list_files("s3://bucket/rows.csv")] == ["rows.csv"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("rows/*.csv", ["[z].csv", "a.csv", "b.csv"]),
        ("rows/[ab].csv", ["a.csv", "b.csv"]),
        ("rows/?.parquet", ["e.parquet"]),
        ("rows/**/*.csv", ["[z].csv", "a.csv", "b.csv", "sub/c.csv", "sub/deep/d.csv"]),
        ("rows/*/*.csv", ["sub/c.csv"]),
        ("rows/s*", ["sub/c.csv", "sub/deep/d.csv"]),
        ("*/a.csv", ["rows/a.csv"]),
        ("rows/[z].csv", ["[z].csv"]),
    ],
)
def test_pattern_of_objects_is_that_of_a_shell(store: Bucket, pattern: str, names: list[str]) -> None:
    """A pattern's star stays within its folder, two stars cross them, and a folder that fits brings all below it."""
    for name in ("a.csv", "b.csv", "e.parquet", "sub/c.csv", "sub/deep/d.csv", "[z].csv"):
        store.put(f"rows/{name}", b"x")
    assert [each.name for each in storage.list_files(f"s3://bucket/{pattern}")] == names


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/a\nb"])
def test_name_that_a_store_would_rewrite_is_refused(store: Bucket, url: str) -> None:
    """A URL without a bucket, or with an empty name, two dots or a control character in it, is refused."""
    for use in (read, storage.list_files, storage.remove, lambda place: storage.write(place, b"x")):
        with pytest.raises(ConfigError, match="is no place in a store"):
            use(url)


def test_missing_object_and_bucket(store: Bucket) -> None:
    """A missing object, and any in a missing bucket, does not exist; into a missing bucket nothing can be written."""
    for url in ("s3://bucket/none.csv", "s3://nowhere/none.csv"):
        with pytest.raises(DataRejected) as refused:
            read(url)
        assert refused.value.rules == {"missing-file"}
        assert storage.read(url, 10) is None
    with pytest.raises(DataRejected, match="bucket does not exist"):
        storage.list_files("s3://nowhere/")
    with pytest.raises(StorageError, match="cannot write s3://nowhere/x: there is no such bucket"):
        storage.write("s3://nowhere/x", b"x")


@pytest.mark.slow
def test_store_that_does_not_answer(nobody: None) -> None:
    """Where nobody listens each use ends by itself in one error that says so, and names the settings."""
    for use in (read, storage.list_files, lambda place: storage.read(place, 10), objects.stamp):
        with pytest.raises(DataRejected) as refused:
            use("s3://bucket/x.csv")
        assert [str(each) for each in refused.value.problems] == ["s3://bucket/x.csv: the store does not answer"]
        assert "AWS_ENDPOINT_URL" in (refused.value.hint or "")
    for use in (storage.remove, lambda place: storage.write(place, b"x")):
        with pytest.raises(StorageError, match=r"cannot write s3://bucket/x\.csv: the store does not answer"):
            use("s3://bucket/x.csv")


def test_store_that_goes_while_it_is_read(store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that answers no more ends the reading, and the digest beside it, in the same error."""
    import obstore
    from obstore.exceptions import GenericError

    def gone(*_: object, **__: object) -> bytes:
        raise GenericError("Generic S3 error: HTTP error: error decoding response body\n\nDebug source:\nmuch more")

    url = store.put("object", DATA)
    monkeypatch.setattr(obstore, "get_range", gone)
    with storage.opened(url) as file, storage.Digesting(file) as digesting:
        for use in (file.file.read, digesting.result):
            with pytest.raises(DataRejected, match="the store does not answer"):
                use()


@pytest.mark.slow
def test_store_without_keys(store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys there is one error that names them; public objects can be read without, if one says so."""
    url = store.put("object", DATA, acl="public-read")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")  # where a machine of Amazon's would have them
    with pytest.raises(DataRejected, match="there are no keys for it") as refused:
        read(url)
    assert "AWS_ACCESS_KEY_ID" in (refused.value.hint or "")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    assert read(url) == DATA


def test_setting_that_is_wrong(store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting that means nothing is one error."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "perhaps")
    with pytest.raises((ConfigError, DataRejected)) as refused:
        read("s3://bucket/x")
    assert len(str(refused.value).splitlines()) <= 2


# --- predictions


def put_rows(store: Bucket, folder: Path) -> None:
    """Rows as objects and as files: a Parquet file and two CSV files, one of them in a folder."""
    columns = blobs(["no", "yes"], rows=300, seed=3)
    for name in ("a.parquet", "b.csv", "sub folder/ç.csv"):
        path = folder / "rows" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        store.put(f"rows/{name}", write_table(path, columns).read_bytes())


def same(store: Bucket, folder: Path, name: str) -> None:
    """Compare what stands below a name in the bucket with what stands there in the folder, and the receipts."""
    paths = [path for path in sorted((folder / name).rglob("*")) if path.is_file()]
    assert paths
    for path in [*paths, folder / f"{name}.receipt.json"]:
        assert store.get(path.relative_to(folder).as_posix()) == path.read_bytes(), path
    listed = [each.name for each in storage.list_files(f"s3://bucket/{name}/")]
    assert listed == [path.relative_to(folder / name).as_posix() for path in paths]


def test_predictions_from_a_store_into_a_store(store: Bucket, predict: Callable[..., int], tmp_path: Path) -> None:
    """From URLs into a URL the predictions and the receipt are, byte for byte, those of files; and can be proved."""
    put_rows(store, tmp_path)
    assert predict("rows", "-o", "out/") == predict("s3://bucket/rows/", "-o", "s3://bucket/out/") == 0
    same(store, tmp_path, "out")
    assert prove("s3://bucket/out").rows.read == 900
    assert main(["verify", "s3://bucket/out", "--receipt", "--input", "s3://bucket/rows/b.csv", "-q"]) == 0
    store.put("out/part-00001-00000.parquet", b"changed")
    assert main(["verify", "s3://bucket/out", "--receipt", "-q"]) == 4


@pytest.mark.parametrize("name", ["out.parquet", "out.csv", "out.jsonl"])
def test_one_object_of_predictions(store: Bucket, predict: Callable[..., int], tmp_path: Path, name: str) -> None:
    """One object takes all predictions, and its receipt stands beside it."""
    put_rows(store, tmp_path)
    assert predict("rows", "-o", name) == predict("s3://bucket/rows/", "-o", f"s3://bucket/{name}") == 0
    for each in (name, f"{name}.receipt.json"):
        assert store.get(each) == (tmp_path / each).read_bytes()
    assert main(["verify", f"s3://bucket/{name}", "--receipt", "-q"]) == 0


def test_columns_of_an_object_are_read_once(
    store: Bucket, predict: Callable[..., int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each byte of a Parquet object is asked for twice, for its rows and its digest, and not by a small request."""
    import obstore

    sizes, get_range = [], obstore.get_range

    def counted(*arguments: Any, start: int, end: int) -> Any:
        sizes.append(end - start)
        return get_range(*arguments, start=start, end=end)

    monkeypatch.setattr(obstore, "get_range", counted)
    columns = {name: np.random.default_rng(1).standard_normal(1 << 20) for name in ("width", "height")}
    path = tmp_path / "wide.parquet"
    parquet.write_table(pa.table(columns), path, use_dictionary=False)
    url, size = store.put("wide.parquet", path.read_bytes()), path.stat().st_size
    assert predict(url, "-o", "out.parquet") == 0
    assert size > 16 << 20
    assert 2 * size <= sum(sizes) < 2.1 * size
    assert len(sizes) < 20


def test_objects_are_opened_several_at_a_time(
    server: str, store: Bucket, predict: Callable[..., int], tmp_path: Path
) -> None:
    """Before the first row a store is asked about several objects at once; what comes of them keeps their order."""
    columns = blobs(["no", "yes"], rows=9, seed=3)
    (tmp_path / "rows").mkdir()
    for number in range(4):
        name, extra = f"{number}.parquet", {f"more {number}": [number] * 9}
        store.put(f"rows/{name}", write_table(tmp_path / "rows" / name, {**columns, **extra}).read_bytes())
    together, seen = Barrier(4, timeout=30), set[str]()

    def answer(request: Request) -> Response:
        if request.method == "HEAD" and request.path.startswith("/bucket/rows/") and request.path not in seen:
            seen.add(request.path)
            together.wait()  # until all four are asked for
        return forward(server.removeprefix("http://"), request)

    with relay(answer) as front, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{front.address}")
        assert predict("s3://bucket/rows/", "-o", "out/") == 0
    assert not together.broken
    assert predict("rows", "-o", "there/") == 0
    assert (tmp_path / "out.receipt.json").read_bytes() == (tmp_path / "there.receipt.json").read_bytes()


def test_the_first_place_that_fails_is_the_error() -> None:
    """Of places that are asked at once the first one's error is raised, and those that wait are not asked."""
    asked = list[int]()

    def ask(place: int) -> int:
        asked.append(place)
        if place >= 3:
            raise ValueError(place)
        return place

    assert ask_several(ask, [2, 0, 1]) == [2, 0, 1]
    with pytest.raises(ValueError, match=r"^3$"):
        ask_several(ask, range(1000))


def test_bad_rows_go_into_the_store(store: Bucket, predict: Callable[..., int], tmp_path: Path) -> None:
    """Bad rows are set aside as an object of their own, joined from all parts, whose pieces are gone."""
    store.put("rows/a.csv", b"width,height\n1,2\nx,2\n")
    store.put("rows/b.csv", b"width,height\n1,\n1,2\n")
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/", "--on-error", "quarantine") == 0
    assert store.get("out.rejected.jsonl").count(b"\n") == 2
    assert not [name for name in store.names() if "_rejected/" in name]
    assert prove("s3://bucket/out").rows.rejected == 2


def test_work_in_a_store_is_resumed(
    store: Bucket, predict: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that ended early goes on from its receipt in the store, and gives the same bytes."""
    put_rows(store, tmp_path)
    assert predict("rows", "-o", "out/") == 0
    put = storage.write

    def _fail_at_the_second(place: str, data: bytes) -> None:
        if b"part-00001" in data:
            raise StorageError("the store is full")
        put(place, data)

    monkeypatch.setattr(storage, "write", _fail_at_the_second)
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/") == 8
    monkeypatch.setattr(storage, "write", put)
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/") == 2
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/", "--resume") == 0
    same(store, tmp_path, "out")
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/", "--resume") == 0


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["s3://bucket/none.csv", "-o", "s3://bucket/out/"], 5),
        (["s3://bucket/none/", "-o", "s3://bucket/out/"], 5),
        (["s3://nowhere/", "-o", "s3://bucket/out/"], 5),
        (["s3://bucket/rows/", "-o", "s3://nowhere/out.csv"], 8),
        (["s3://bucket/a//b/", "-o", "s3://bucket/out/"], 2),
    ],
)
def test_what_is_wrong_in_a_store_is_one_error(
    store: Bucket,
    predict: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: list[str],
    status: int,
) -> None:
    """Missing objects and buckets, and names that are none, are one error each, and write nothing."""
    put_rows(store, tmp_path)
    before = store.names()
    assert predict(*arguments) == status
    assert sum(line.startswith("error: ") for line in capsys.readouterr().err.splitlines()) == 1
    assert store.names() == before


@pytest.mark.parametrize("place", ["s3://bucket", "s3://bucket/"])
def test_whole_bucket_is_no_folder_of_parts(store: Bucket, predict: Callable[..., int], place: str) -> None:
    """A bucket itself takes no parts: their receipt would have to stand beside it."""
    assert predict("-o", place) == 2
    assert store.names() == []


@pytest.mark.slow
def test_predictions_where_nobody_listens(
    nobody: None, predict: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store that does not answer is one error, for reading with status 5 and for writing with 8."""
    write_table(tmp_path / "rows.csv", blobs(["no", "yes"]))
    assert predict("s3://bucket/rows.csv", "-o", "out.csv") == 5
    assert predict("rows.csv", "-o", "s3://bucket/out.csv") == 8
    err = capsys.readouterr().err
    assert err.count("error: ") == 2
    assert err.count("the store does not answer") == 2


def test_packed_batches_are_read_from_a_store(store: Bucket, predict: Callable[..., int], tmp_path: Path) -> None:
    """An object of packed Arrow is answered as the file is, and refused where a buffer says to be far too large."""
    table = pa.table(blobs(["no", "yes"], rows=300))
    with ipc.new_file(tmp_path / "a.arrow", table.schema, options=ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    data = (tmp_path / "a.arrow").read_bytes()
    assert predict("a.arrow", "-o", "file.csv") == predict(store.put("a.arrow", data), "-o", "object.csv") == 0
    assert (tmp_path / "file.csv").read_bytes() == (tmp_path / "object.csv").read_bytes()
    size = data.index(b"\x28\xb5\x2f\xfd") - 8
    lie = data[:size] + (2**40).to_bytes(8, "little") + data[size + 8 :]
    assert predict(store.put("b.arrow", lie), "-o", "out.csv") == 5


def test_a_dictionary_in_a_store_fills_no_memory(store: Bucket, predict: Callable[..., int], tmp_path: Path) -> None:
    """A kept text that stands once and means gigabytes is refused in an object as in a file; a short one is kept."""
    for size, status in ((10, 0), (1 << 20, 5)):
        note = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), pa.array(["x" * size]))
        table = pa.table({**blobs(["no", "yes"], rows=300), "note": note})
        parquet.write_table(table, tmp_path / "a.parquet", compression="zstd", store_schema=False)
        place = store.put("a.parquet", (tmp_path / "a.parquet").read_bytes())
        assert predict(place, "--keep", "note", "-o", "out.parquet") == status


def test_object_of_a_format_that_its_name_does_not_tell(
    store: Bucket, predict: Callable[..., int], tmp_path: Path
) -> None:
    """An object without a suffix is read as what --from says."""
    store.put("rows", b"width,height\n1,2\n")
    assert predict("s3://bucket/rows", "--from", "csv", "-o", "out.csv") == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


@pytest.mark.slow
def test_predictions_from_a_store_by_two_processes(store: Bucket, predict: Callable[..., int], tmp_path: Path) -> None:
    """Two workers read and write the store themselves, and give the same bytes."""
    put_rows(store, tmp_path)
    assert predict("rows", "-o", "out/") == 0
    assert predict("s3://bucket/rows/", "-o", "s3://bucket/out/", "--workers", "2") == 0
    same(store, tmp_path, "out")


def test_an_object_is_swapped_only_by_whoever_knows_its_version(store: Bucket) -> None:
    """A conditional write creates once, replaces the version that was read, and writes over no later one."""
    url = "s3://bucket/pointer"
    assert objects.read_versioned(url, 10) is None
    assert objects.write_if(url, b"one", None)
    assert not objects.write_if(url, b"two", None)
    found = objects.read_versioned(url, 10)
    assert found is not None
    assert found[0] == b"one"
    assert objects.write_if(url, b"two", found[1])
    assert not objects.write_if(url, b"three", found[1])
    assert store.get("pointer") == b"two"
    with pytest.raises(DataRejected, match="cannot be read"):
        objects.read_versioned(url, 2)


@pytest.mark.parametrize("size", [0, 1, 8 << 20, len(DATA)])
def test_an_object_comes_in_pieces(store: Bucket, size: int) -> None:
    """An object of any size comes whole, in order, and in pieces of bounded size; one that is missing is said."""
    found = list(objects.pieces(store.put("object", DATA[:size])))
    assert b"".join(found) == DATA[:size]
    assert all(0 < len(piece) <= 8 << 20 for piece in found)
    store.remove("object")
    with pytest.raises(DataRejected, match="does not exist"):
        list(objects.pieces("s3://bucket/object"))
