"""Where the official files are on the network, with their published checksums, and how to get the others.

A file without a published checksum is verified by its content (:mod:`ratelab.data.verify`).
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class RemoteFile:
    """One official file; ``checksum`` is ``"md5:..."`` or None where its authors published none."""

    name: str
    checksum: str | None = None


@dataclass(frozen=True)
class Remote:
    """The files of one data set below ``base``; ``parts`` may stand in for them (the members of an archive)."""

    base: str
    files: tuple[RemoteFile, ...]
    parts: tuple[RemoteFile, ...] = ()


def _idx(base: str, *sums: str) -> Remote:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return Remote(base, tuple(RemoteFile(f"{name}.gz", f"md5:{md5}") for name, md5 in zip(names, sums, strict=True)))


REMOTES: dict[str, Remote] = {
    "mnist": _idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    "fashion-mnist": _idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    "static-mnist": Remote(
        "http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",
        tuple(RemoteFile(f"binarized_mnist_{which}.amat") for which in ("train", "valid", "test")),
    ),
    "omniglot": Remote(
        "https://raw.githubusercontent.com/yburda/iwae/master/datasets/OMNIGLOT/",
        (RemoteFile("chardata.mat"),),
    ),
    "cifar-10": Remote(
        "https://www.cs.toronto.edu/~kriz/",
        (RemoteFile("cifar-10-binary.tar.gz", "md5:c32a1d4ab5d03f1284b67883e8d87530"),),
        (
            RemoteFile("data_batch_1.bin", "md5:5dd7e06a14cb22eb9f671a540d1b7c25"),
            RemoteFile("data_batch_2.bin", "md5:5ea93a67294ea407fff1d09f752e9692"),
            RemoteFile("data_batch_3.bin"),
            RemoteFile("data_batch_4.bin"),
            RemoteFile("data_batch_5.bin", "md5:53f37980c15c3d472c316c40844f3f0d"),
            RemoteFile("test_batch.bin"),
        ),
    ),
    "svhn": Remote(
        "http://ufldl.stanford.edu/housenumbers/",
        (
            RemoteFile("train_32x32.mat", "md5:e26dedcc434d2e4c54c9b2d4a06d8373"),
            RemoteFile("test_32x32.mat", "md5:eb5a983be6a315427106f1b164d9cef3"),
        ),
    ),
}


@dataclass(frozen=True)
class ByHand:
    """A data set that no direct address serves: which files the user puts into its folder (or ``beside``), and their origin."""

    files: tuple[str, ...]
    origin: str
    beside: str = ""


BY_HAND: dict[str, ByHand] = {
    "celeba": ByHand(
        ("img_align_celeba", "list_eval_partition.txt"),
        "the aligned JPEG images and the split file of https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
    ),
    "omniglot-28": ByHand(
        ("omniglot_28.npz",),
        "the drawings of https://github.com/brendenlake/omniglot, area-averaged to 28x28, ink 255 on 0, as arrays "
        "{train,test}_{images,alphabet,character,drawer} and alphabet_names",
        beside="omniglot",
    ),
}

BORROWED: dict[str, str] = {"static-mnist-resampled": "mnist", "color-mnist": "mnist", "omniglot-5": "omniglot-28"}
"""Data sets that are made from another one's files."""


def how_to_get(name: str, folder: str) -> str:
    """What to do about a missing file of data set ``name``, whose files belong into ``folder``."""
    if name in BY_HAND:
        return f"put {' and '.join(BY_HAND[name].files)} into {folder} ({BY_HAND[name].origin})"
    return f"get it with `ratelab data fetch {name}`, or set RATELAB_DATA to the folder that holds {name}/"
