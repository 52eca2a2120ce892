"""What the codes of a finite model say about hidden classes: two clusters, their masses, their overlap (Alemi et al. 2018, section 4).

Classes enter through p(c, x) alone: a code knows of the class what x told it. Leading axes of the tables are many models at once.
"""

import torch
from torch import Tensor

from ratelab.exact.discrete import mutual_information
from ratelab.exact.tables import FiniteTables


def two_cluster_share(tables: FiniteTables) -> Tensor:
    """(...) the most of I(x; z) that two clusters of codes keep, as a share of it; 1 where the codes are two clusters.

    Codes are put in order of the mean index of x that they stand for, and cut where the most is kept.
    """
    joint = tables.encoder_joint
    states, codes = joint.shape[-2:]
    means = tables.encoder_posterior @ torch.arange(states, dtype=joint.dtype)
    order = means.argsort(-1).unsqueeze(-2).expand(joint.shape)
    below = joint.gather(-1, order).cumsum(-1)
    kept = [
        mutual_information(torch.stack([below[..., cut], below[..., -1] - below[..., cut]], -1).clamp(min=0))
        for cut in range(codes - 1)
    ]
    return torch.stack(kept).amax(0) / tables.encoder_information


def class_codes(tables: FiniteTables, classes: Tensor) -> Tensor:
    """e(z | class c) for p(c, x) = ``classes``, (C, X): (..., C, Z)."""
    return (classes / classes.sum(-1, keepdim=True)) @ tables.encoder


def class_overlap(tables: FiniteTables, classes: Tensor) -> Tensor:
    """(...) total variation between e(z | class 0) and e(z | class 1): 0 where codes say nothing of the class, at most 1."""
    codes = class_codes(tables, classes)
    return 0.5 * (codes[..., 0, :] - codes[..., 1, :]).abs().sum(-1)


def class_masses(tables: FiniteTables, classes: Tensor) -> Tensor:
    """(..., C) how much of m(z) lies on the codes at which each class is the most probable one under the encoder."""
    likelier = (classes.sum(-1, keepdim=True) * class_codes(tables, classes)).argmax(-2)
    chosen = torch.nn.functional.one_hot(likelier, len(classes)).to(tables.marginal.dtype)
    return (tables.marginal.unsqueeze(-1) * chosen).sum(-2)
