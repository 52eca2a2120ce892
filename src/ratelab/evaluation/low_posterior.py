"""Where a model draws from and has seen no data: low-posterior samples and what they are like (Rosca et al. 2018, Alg. 1, App. A).

Of S draws z ~ m(z) the ones with the smallest log q(z) = log (1/N) sum_n e(z|x_n), over all training and validation examples, are
decoded. Beside them stand their nearest neighbours in the data and uniformly chosen examples: pixels, D + R, R, and a map of the codes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.codes import represented
from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Model
from ratelab.core.passes import Pass
from ratelab.distributions.flowed import Flowed
from ratelab.estimators.codes import log_sum_of_others
from ratelab.evaluation.latents import batches, decode, live
from ratelab.training.loader import Loader

Arrays = dict[str, NDArray[Any]]
GROUPS = ("uniform", "neighbours", "samples")
CHUNK, DRAWS, UNIFORM, MAPPED, BINS = 500, 10, 1000, 500, 64


@dataclass(frozen=True)
class Codebook:
    """The posteriors e(z|x_n) of N examples, the base laws where one flow carries them all."""

    laws: Sequence[Law]
    flow: Flowed | None
    examples: int

    def log_density(self, z: Tensor) -> Tensor:
        """(S,) log q(z) of the equal mixture of all N posteriors, nats, at ``z`` (S, \\*event)."""
        moved = None if self.flow is None else self.flow.source(z)
        at = z if moved is None else moved.value
        nobody = torch.full((len(z),), -1, device=z.device)
        found = log_sum_of_others(self.laws, at, nobody) - float(np.log(self.examples))
        return found if moved is None else found + moved.log_det


def check_low_posterior(model: Model, seen: Pass) -> None:
    """:class:`UserError` where the analysis is not defined; ``seen``: a pass of the model over a few examples."""
    layers = represented(seen)
    if len(layers) != 1 or len(seen.layers) != 1:
        raise UserError("low-posterior samples are of a model with one layer of latents; this model is another")
    law = layers[0].encoder
    if law is None or not law.abilities.density or not bool(layers[0].log_encoder.isfinite().all()):
        raise UserError("low-posterior samples need the density of the encoder e(z|x), and this model has none")
    if model.target == "y" or seen.decoder is None:
        raise UserError("low-posterior samples are decoded and scored; this model has no likelihood d(x|z)")


@torch.no_grad()
def low_posterior(
    model: Model,
    dataset: Dataset,
    seed: int,
    draws: int = 10_000,
    count: int = 64,
    starts: Callable[[], None] = lambda: None,
) -> Arrays:
    """All that the figures show, as arrays.

    ``log_q`` (S,), nats, of all draws; ``chosen`` (count,), the draws with the smallest, lowest first; ``samples``, their decoder means,
    and ``usual``, means of the first draws (count, \\*event); ``neighbours`` (count, \\*event) with their rows ``nearest`` among the
    training and then the validation examples, and ``distances`` (L2); ``uniform`` (U, \\*event), chosen examples. For each of these
    three groups ``GROUP_neg_elbo`` and ``GROUP_rate``, nats, and ``GROUP_pixels``, shares of the ``edges`` (BINS + 1). ``map``: 2-D
    t-SNE of codes, and ``map_group``: 0 for m(z), 1 for q(z), 2 for low-posterior ones.

    ``starts`` is called when all is well and the long part begins. Means are scored as the nearest values that the data can take: a
    Bernoulli or a quantised law scores no others.
    Raises :class:`UserError` for fewer draws than asked for, and for models without one layer of scored latents.
    """
    if not 1 <= count <= draws:
        raise UserError(f"{count} low-posterior samples of {draws} draws: give at least 1, and no more than the draws")
    model.eval()
    noise = live(model, seed, "low-posterior")
    first = model(next(Loader(dataset, dataset.test, 4, device=noise.device, dtype=noise.dtype).ordered()), noise)
    check_low_posterior(model, first)
    starts()
    z = first.layers[0].marginal.draw(noise, draws).value.reshape(-1, *model.latent_shapes[0])[:draws]
    total = len(dataset.train) + len(dataset.validation)
    rows = noise.permutation(total)[: min(UNIFORM, total)].sort().values
    book, uniform, codes = _read(model, dataset, seed, noise, rows)
    log_q = torch.cat([book.log_density(part) for part in z.split(CHUNK)])
    chosen = log_q.argsort()[:count]
    samples, usual = (decode(model, [part.cpu().numpy()]) for part in (z[chosen], z[:count]))
    nearest, distances, neighbours = nearest_examples(samples, _data(dataset, seed, noise))
    groups = {"uniform": uniform, "neighbours": neighbours, "samples": samples}
    edges = _edges(dataset, uniform)
    found: Arrays = {
        "log_q": log_q.cpu().numpy(), "chosen": chosen.cpu().numpy(), "usual": usual, "nearest": nearest, "distances": distances,
        "edges": edges, **groups,
    }  # fmt: skip
    for name, x in groups.items():
        found[f"{name}_neg_elbo"], found[f"{name}_rate"] = worth(model, possible(x, dataset.support), noise)
        found[f"{name}_pixels"] = np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / x.size
    found["map"], found["map_group"] = code_map([z[:MAPPED], codes[:MAPPED], z[chosen]], seed)
    return found


def _data(dataset: Dataset, seed: int, noise: LiveNoise) -> Iterator[Batch]:
    """Training and validation examples in order; what is resampled is drawn once, the same whenever it is asked for."""
    where, kind = noise.device, noise.dtype
    for which in ("train", "validation"):
        drawn = None
        if dataset.resampled and which == "train":
            drawn = LiveNoise.for_purpose(seed, "low-posterior/data", device=where, dtype=kind)
        yield from Loader(dataset, getattr(dataset, which), CHUNK, resample=drawn, device=where, dtype=kind).ordered()


def _read(
    model: Model, dataset: Dataset, seed: int, noise: LiveNoise, rows: Tensor
) -> tuple[Codebook, NDArray[np.floating], Tensor]:
    """The posteriors of all examples; those at ``rows`` themselves, and one draw of each one's posterior."""
    laws: list[Law] = []
    kept, codes, start, flow = [], [], 0, None
    for batch in _data(dataset, seed, noise):
        layer = model(batch, noise).layers[0]
        assert layer.encoder is not None
        law = layer.encoder.detached()
        if isinstance(law, Flowed) and law.context is None:
            flow, law = law, law.base
        laws.append(law)
        here = rows[(rows >= start) & (rows < start + batch.size)] - start
        kept.append(batch.x[here])
        codes.append(layer.z[0, here])
        start += batch.size
    shuffled = noise.permutation(len(rows))  # a map shows fewer codes than there are rows, from all over the data
    return Codebook(laws, flow, start), torch.cat(kept).cpu().numpy(), torch.cat(codes)[shuffled]


def nearest_examples(
    x: NDArray[np.floating], data: Iterator[Batch]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.floating]]:
    """For each of ``x`` (k, \\*event) the row of the nearest example of the data in L2, the distance, and the example itself."""
    nearest, best, found, start = np.zeros(len(x), np.int64), np.full(len(x), np.inf), x.copy(), 0
    flat = x.reshape(len(x), -1).astype(np.float64)
    for batch in data:
        block = batch.x.cpu().numpy()
        rows = block.reshape(len(block), -1).astype(np.float64)
        squares = (rows**2).sum(1) - 2 * flat @ rows.T + (flat**2).sum(1, keepdims=True)
        place, value = squares.argmin(1), squares.min(1)
        closer = value < best
        nearest[closer], best[closer], found[closer] = start + place[closer], value[closer], block[place[closer]]
        start += len(block)
    return nearest, np.sqrt(np.maximum(best, 0.0)), found


def possible(x: NDArray[np.floating], support: Support) -> NDArray[np.floating]:
    """The nearest values that data of this support can take: 0 or 1, or levels / 255; others stay as they are."""
    if support is Support.BINARY:
        return (x >= 0.5).astype(x.dtype)
    return (np.round(x * 255) / 255).astype(x.dtype) if support is Support.LEVELS else x


def worth(model: Model, x: NDArray[np.floating], noise: LiveNoise) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """D + R and R of each example (N,), nats: D over some draws, and R in closed form where there is one, else over the same draws."""
    seen = [model(batch, noise, DRAWS) for batch in batches(model, x)]
    sums = [(each.closed_rate + each.distortion).mean(0) for each in seen], [each.closed_rate.mean(0) for each in seen]
    return tuple(torch.cat(parts).cpu().numpy() for parts in sums)  # type: ignore[return-value]


def _edges(dataset: Dataset, x: NDArray[np.floating]) -> NDArray[np.float64]:
    low, high = (float(x.min()), float(x.max())) if dataset.support is Support.REAL else (0.0, 1.0)
    return np.linspace(low, high if high > low else low + 1.0, BINS + 1)


def code_map(groups: Sequence[Tensor], seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, 2) t-SNE of all groups of codes (n_i, \\*event) together, and which group each belongs to."""
    from sklearn.manifold import TSNE

    codes = np.concatenate([group.flatten(1).cpu().numpy() for group in groups])
    group = np.repeat(np.arange(len(groups)), [len(each) for each in groups])
    if codes.shape[1] <= 2:
        return np.pad(codes, ((0, 0), (0, 2 - codes.shape[1]))).astype(np.float32), group
    near = min(30.0, (len(codes) - 1) / 3)
    return TSNE(perplexity=near, init="pca", random_state=seed % 2**32).fit_transform(codes).astype(np.float32), group


def numbers(found: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """What the arrays of :func:`low_posterior` say in a few numbers, nats, each mean with its standard error."""
    told: dict[str, Any] = {
        "draws": len(found["log_q"]),
        "count": len(found["chosen"]),
        "highest_chosen_log_q": float(found["log_q"][found["chosen"]].max()),
        "median_log_q": float(np.median(found["log_q"])),
        "median_distance": float(np.median(found["distances"])),
    }
    for group in GROUPS:
        for name in ("neg_elbo", "rate"):
            values = found[f"{group}_{name}"].astype(np.float64)
            error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None
            told[f"{group}_{name}"] = {"mean": float(values.mean()), "stderr": error}
    return told
