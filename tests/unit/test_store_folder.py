"""One run's folder: lock, names, and damage that is named."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from safetensors.numpy import load, save

from ratelab.core.errors import UserError
from ratelab.store import Busy, RunFolder
from ratelab.store.tensors import sealed

ID = "0123456789ab"


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    made = RunFolder(tmp_path / ID)
    made.path.mkdir()
    return made


@pytest.mark.parametrize("name", ["", "..", "0123456789AB", "0123456789a", "0123456789abc", "0123456789a/", "lock"])
def test_only_ids_name_run_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="no run id"):
        RunFolder(tmp_path / name / "x" if name == ".." else tmp_path / (name or "x"))


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "A", "x" * 65, "a.png\n"])
def test_pictures_stay_inside_the_folder(folder: RunFolder, name: str) -> None:
    with pytest.raises(UserError, match="no picture name"):
        folder.write_picture(name, b"")
    assert folder.pictures() == {}


def test_pictures_are_listed_by_name(folder: RunFolder) -> None:
    folder.write_picture("samples", b"png")
    assert {name: path.read_bytes() for name, path in folder.pictures().items()} == {"samples": b"png"}


def test_a_run_exists_once_its_recipe_is_written(folder: RunFolder) -> None:
    assert not folder.exists()
    assert folder.results() is None
    assert folder.provenance() == {}
    recipe = {"data": "digits", "model": {"name": "vae"}, "objective": "elbo"}
    folder.write_recipe(recipe)
    assert folder.exists()
    assert folder.recipe() == recipe


def test_the_lock_is_held_by_one(folder: RunFolder) -> None:
    held = f"run {ID} is being made by another process"
    with folder.locked(), pytest.raises(Busy, match=held), RunFolder(folder.path).locked():
        pass
    with folder.locked():
        pass


HOLDER = """
import sys, time
from pathlib import Path
from ratelab.store import RunFolder

with RunFolder(Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_dead_owners_lock_is_taken_over_and_its_leavings_removed(folder: RunFolder) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder.path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy), folder.locked():
            pass
        (folder.path / ".results.json.aabbcc.tmp").write_text("half")
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with folder.locked():
        assert sorted(entry.name for entry in folder.path.iterdir()) == ["lock"]


@pytest.mark.parametrize("refused", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_store_that_may_only_be_read_tells_who_works_in_it(
    refused: int, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_writing(lock: FileLock, *_: object, **__: object) -> None:
        raise OSError(refused, os.strerror(refused))

    with folder.locked(), monkeypatch.context() as reading:
        reading.setattr(FileLock, "acquire", no_writing)
        assert folder.held()
    monkeypatch.setattr(FileLock, "acquire", no_writing)
    assert not folder.held()


def test_a_disk_that_does_not_say_who_holds_a_lock_is_no_answer(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(number: int) -> None:
        def acquire(lock: FileLock, *_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(FileLock, "acquire", acquire)

    with folder.locked():
        pass
    fails(errno.ENOLCK)
    with pytest.raises(UserError, match=r"lock: no locks available"):
        folder.held()
    fails(errno.ENOENT)  # removed while we looked
    assert not folder.held()


WHOLE = save({"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, {"ratelab": "{}"})


def header(blob: bytes) -> dict:
    return json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])


def test_whole_tensor_files_come_back_with_a_checksum_beside_what_their_header_said(folder: RunFolder) -> None:
    folder.write_checkpoint(WHOLE)
    folder.write_weights(WHOLE)
    assert folder.has_checkpoint()
    assert folder.checkpoint() == folder.weights() == sealed(WHOLE)
    (before, data), (after, same) = ((header(blob), load(blob)) for blob in (WHOLE, folder.weights()))
    assert after.pop("__metadata__").pop("crc32")
    assert {**after, "__metadata__": {}} == {**before, "__metadata__": {}}
    assert data.keys() == same.keys()
    assert all(np.array_equal(data[name], same[name]) for name in data)


def test_every_altered_byte_of_tensors_is_noticed(folder: RunFolder) -> None:
    folder.write_weights(WHOLE)
    path = folder.path / "model.safetensors"
    whole = path.read_bytes()
    for position in range(8 + int.from_bytes(whole[:8], "little"), len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(
            UserError, match=r"model\.safetensors is corrupt \(altered: its checksum does not fit\); delete the folder"
        ):
            folder.weights()
    path.write_bytes(WHOLE)
    assert folder.weights() == WHOLE, "files of earlier releases have no checksum"


@pytest.mark.parametrize(
    "blob", [b"", b"123", WHOLE[:-1], WHOLE[:20], WHOLE + b"x", b"\xff" * 40, b"\x02" + bytes(7) + b"[]", bytes(8)]
)
def test_damaged_tensor_files_are_named(folder: RunFolder, blob: bytes) -> None:
    for name in ("checkpoint", "model"):
        (folder.path / f"{name}.safetensors").write_bytes(blob)
    with pytest.raises(UserError, match=r"checkpoint\.safetensors is corrupt .*; delete the folder .* and train the run again"):
        folder.checkpoint()
    with pytest.raises(UserError, match=r"model\.safetensors is corrupt"):
        folder.weights()


def test_arrays_come_back(folder: RunFolder) -> None:
    folder.write_per_example({"rate": np.arange(3.0), "rates": np.ones((2, 3))})
    arrays = folder.per_example()
    assert set(arrays) == {"rate", "rates"}
    np.testing.assert_array_equal(arrays["rate"], [0, 1, 2])


def test_damaged_arrays_are_named(folder: RunFolder) -> None:
    folder.write_per_example({"rate": np.random.default_rng(0).normal(size=1000)})
    path = folder.path / "per_example.npz"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for blob in (b"", whole[:50], whole[:-10], b"no zip at all", bytes(flipped)):
        path.write_bytes(blob)
        with pytest.raises(UserError, match=r"per_example\.npz is corrupt") as caught:
            folder.per_example()
        assert "pickle" not in str(caught.value)


def test_python_objects_are_never_unpickled(folder: RunFolder) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(folder.path / "sprung"),)

    np.savez(folder.path / "per_example.npz", rate=np.array([Trap()], dtype=object))
    with pytest.raises(UserError, match=r"hold something other than numbers\); delete .* evaluated again") as caught:
        folder.per_example()
    assert "pickle" not in str(caught.value)
    assert not (folder.path / "sprung").exists()
