"""Fetching and verifying official files, against a server of our own that ranges, drops, lies and refuses."""

import errno
import gzip
import hashlib
import http.server
import re
import threading

import numpy as np
import pytest
from data_files import amat, write_mnist
from scipy.io import savemat

from ratelab.core.errors import UserError
from ratelab.data import DATASETS, verify
from ratelab.data.download import download
from ratelab.data.fetch import available, fetch
from ratelab.data.registry import BORROWED, BY_HAND, REMOTES, Remote, RemoteFile

CONTENT = np.random.RandomState(0).bytes(700_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves ``files`` by name; ``drop`` cuts that many answers off half-way; ``ranges`` False ignores Range headers."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.drop, self.ranges, self.asked = {"file.bin": CONTENT}, 0, True, []

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        asked, content = self.headers.get("Range"), self.server.files.get(self.path.lstrip("/"))
        self.server.asked.append((self.path, asked))
        if content is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        if start >= len(content) and asked:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if self.server.drop:
            self.server.drop -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.02,))
        thread.start()
        yield one
        one.shutdown()
        thread.join()


@pytest.fixture
def toy(server, monkeypatch):
    """A data set 'svhn' of one file with a published checksum, at the server."""
    monkeypatch.setitem(REMOTES, "svhn", Remote(server.base, (RemoteFile("file.bin", f"md5:{MD5}"),)))
    return server


def test_a_dropped_connection_is_continued(server, tmp_path):
    server.drop = 2
    part = tmp_path / "x.part"
    seen = []
    download(server.base + "file.bin", part, lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, "bytes=350000-", "bytes=525000-"]
    assert seen[-1] == (700_000, 700_000)


def test_a_part_of_an_earlier_try_is_continued(server, tmp_path):
    part = tmp_path / "x.part"
    part.write_bytes(CONTENT[:123_456])
    download(server.base + "file.bin", part)
    assert part.read_bytes() == CONTENT
    assert server.asked == [("/file.bin", "bytes=123456-")]


def test_a_server_without_ranges_is_read_from_the_start(server, tmp_path):
    server.ranges = False
    part = tmp_path / "x.part"
    part.write_bytes(b"something else")
    download(server.base + "file.bin", part)
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("extra", [b"", b"too long"])
def test_a_part_that_is_whole_or_too_long(server, tmp_path, extra):
    part = tmp_path / "x.part"
    part.write_bytes(CONTENT + extra)
    download(server.base + "file.bin", part)
    assert part.read_bytes() == CONTENT


def test_a_server_that_keeps_dropping(toy, tmp_path):
    toy.drop = 4
    with pytest.raises(UserError, match=r"dropped after \d+ of 700000 bytes; give the same command again"):
        fetch("svhn", tmp_path)
    assert not (tmp_path / "svhn" / "file.bin").exists()
    assert fetch("svhn", tmp_path) == [tmp_path / "svhn" / "file.bin"]
    assert toy.asked[-1][1] is not None  # it went on where it stopped


def test_fetch_verifies_and_leaves_only_the_file(toy, tmp_path, capfd):
    paths = fetch("svhn", tmp_path, progress=True)
    assert [p.read_bytes() for p in paths] == [CONTENT]
    assert [p.name for p in (tmp_path / "svhn").iterdir()] == ["file.bin"]
    out, err = capfd.readouterr()
    assert out == ""
    assert "file.bin" in err
    fetch("svhn", tmp_path)
    assert len(toy.asked) == 1  # nothing to do the second time
    assert capfd.readouterr() == ("", "")


def test_a_wrong_checksum_removes_the_file(toy, tmp_path):
    toy.files["file.bin"] = CONTENT[:-1] + b"?"
    with pytest.raises(UserError, match=r"file\.bin: its checksum is not the published md5:.*the file was removed") as error:
        fetch("svhn", tmp_path)
    assert "\n" not in str(error.value)
    assert list((tmp_path / "svhn").iterdir()) == []
    toy.files["file.bin"] = CONTENT
    assert fetch("svhn", tmp_path)[0].read_bytes() == CONTENT


def test_a_damaged_file_is_fetched_anew(toy, tmp_path):
    (tmp_path / "svhn").mkdir()
    (tmp_path / "svhn" / "file.bin").write_bytes(b"damaged")
    assert verify.verify("svhn", tmp_path)[0].status == "damaged"
    fetch("svhn", tmp_path)
    assert verify.verify("svhn", tmp_path) == [verify.Checked("file.bin", "ok", "checksum")]


def test_mirror_replaces_the_address(server, tmp_path, monkeypatch):
    monkeypatch.setitem(REMOTES, "svhn", Remote("http://127.0.0.1:9/", (RemoteFile("file.bin", f"md5:{MD5}"),)))
    with pytest.raises(UserError, match=r"cannot be reached \(.*\); check the connection or give --mirror"):
        fetch("svhn", tmp_path)
    assert fetch("svhn", tmp_path, mirror=server.base.rstrip("/"))[0].read_bytes() == CONTENT


def test_a_server_that_refuses(toy, tmp_path):
    toy.files.clear()
    with pytest.raises(UserError, match="the server answers 404"):
        fetch("svhn", tmp_path)
    with pytest.raises(UserError, match="not an address"):
        fetch("svhn", tmp_path, mirror="my/mirror")


def test_a_full_disk(toy, tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ratelab.data.download._continue", full)
    with pytest.raises(UserError, match="no space left for the download; free some"):
        fetch("svhn", tmp_path)


def test_a_folder_that_cannot_be_made(toy, tmp_path):
    (tmp_path / "svhn").write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot be written to"):
        fetch("svhn", tmp_path)


def test_a_file_without_a_checksum_is_checked_by_content(server, tmp_path):
    images = np.zeros((3, 784), np.uint8)
    for which in ("train", "valid", "test"):
        server.files[f"binarized_mnist_{which}.amat"] = amat(images)
    with pytest.raises(UserError, match=r"has 3 lines of mean 0\.000000, expected 50000 .*the file was removed"):
        fetch("static-mnist", tmp_path, mirror=server.base)
    assert list((tmp_path / "static-mnist").iterdir()) == []


def test_chardata_is_checked_by_content(tmp_path):
    (tmp_path / "omniglot").mkdir()
    savemat(tmp_path / "omniglot" / "chardata.mat", {"data": np.zeros((784, 3)), "testdata": np.zeros((784, 8070), np.uint8)})
    (found,) = verify.verify("omniglot", tmp_path)
    assert found.status == "damaged"
    assert "'data' has shape (784, 3), expected (784, 24345)" in found.detail


def test_what_has_no_address(tmp_path):
    assert fetch("digits", tmp_path) == []
    with pytest.raises(UserError, match=r"data 'celeba' has no address .*; put img_align_celeba"):
        fetch("celeba", tmp_path)
    with pytest.raises(UserError, match="did you mean 'mnist'"):
        fetch("mnsit", tmp_path)
    with pytest.raises(UserError, match="no official files to verify"):
        verify.verify("digits", tmp_path)


def test_unpacked_files_are_checked_by_content(tmp_path):
    write_mnist(tmp_path, ending="", train=30, test=10)
    found = {c.file: c for c in verify.verify("mnist", tmp_path)}
    assert found["train-images-idx3-ubyte"].status == "damaged"
    assert "has 30 images, expected 60000" in found["train-images-idx3-ubyte"].detail


@pytest.mark.data
def test_real_files_verify(real_data):
    for name in ("mnist", "fashion-mnist"):
        assert [c.detail for c in verify.verify(name, real_data)] == ["checksum"] * 4
    assert [c.status for c in verify.verify("static-mnist", real_data)] == ["ok"] * 3


@pytest.mark.data
def test_an_unpacked_official_file_verifies(real_data, tmp_path):
    (tmp_path / "mnist").mkdir()
    raw = (real_data / "mnist" / "t10k-labels-idx1-ubyte.gz").read_bytes()
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte").write_bytes(gzip.decompress(raw))
    found = {c.file: c.status for c in verify.verify("mnist", tmp_path)}
    assert found["t10k-labels-idx1-ubyte"] == "ok"
    assert found["train-images-idx3-ubyte.gz"] == "missing"


def test_listing(tmp_path):
    rows = {row["name"]: row for row in available(tmp_path)}
    assert list(rows) == list(DATASETS)
    assert all(row["summary"] for row in rows.values())
    assert (rows["digits"]["origin"], rows["digits"]["status"]) == ("built in", "ready")
    assert (rows["mnist"]["origin"], rows["mnist"]["status"]) == ("address", "missing")
    assert rows["array"]["origin"] == "yours"
    write_mnist(tmp_path)
    rows = {row["name"]: row["status"] for row in available(tmp_path)}
    assert rows["mnist"] == rows["color-mnist"] == "ready"
    (tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
    assert {row["name"]: row["status"] for row in available(tmp_path)}["mnist"] == "partly"


def test_every_name_of_the_registry_is_in_the_table():
    assert {*REMOTES, *BY_HAND, *BORROWED} <= set(DATASETS)
    assert set(BORROWED.values()) <= {*REMOTES, *BY_HAND}
    unsummed = {name for name, remote in REMOTES.items() for file in remote.files if file.checksum is None}
    assert unsummed <= set(verify._CONTENT)
