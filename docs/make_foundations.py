"""Draws the figures of docs/results/foundations.md: two-latent posteriors of four points, and three diagrams.

python docs/make_foundations.py            writes docs/images/foundations-*.png, about half a minute
"""

import tempfile
from pathlib import Path

import numpy as np
import torch

from ratelab.core.batch import Batch, LiveNoise
from ratelab.core.model import Model
from ratelab.report.diagrams import chain_diagram, joints_diagram, orders_diagram
from ratelab.report.look import to_png
from ratelab.report.posterior_figure import posterior_figure
from ratelab.runs import execute, expand, open_run, read_recipe
from ratelab.store import Store

IMAGES = Path(__file__).parent / "images"
REACH, GRID = 3.4, 161


def densities(model: Model) -> np.ndarray:
    """(4, G, G): e(z|x) of the four points on the grid."""
    axis = torch.linspace(-REACH, REACH, GRID)
    z = torch.cartesian_prod(axis, axis).unsqueeze(1).expand(-1, 4, -1)
    with torch.no_grad():
        law = model(Batch(torch.eye(4)), LiveNoise(0)).layers[0].encoder
        return law.log_prob(z).exp().T.reshape(4, GRID, GRID).numpy()


def main() -> None:
    titles = {"gaussian": "diagonal Gaussian", "flow": "four IAF steps"}
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store.create(Path(folder))
        for recipe in expand(read_recipe("kingma2019/toy-posteriors")):
            results = execute(recipe, store)
            trained = open_run(store.run(results["run"]))
            name = titles[recipe.model["encoder"]["name"]]
            bound = results["estimates"]["neg_elbo"]["value"]
            found[f"{name}, −ELBO {bound:.2f}"] = densities(trained.model)
    axis = np.linspace(-REACH, REACH, GRID)
    normal = np.exp(-0.5 * (axis[:, None] ** 2 + axis**2)) / (2 * np.pi)
    figures = {
        "posteriors": posterior_figure(normal, found, REACH),
        "joints": joints_diagram(),
        "chain": chain_diagram(),
        "orders": orders_diagram(),
    }
    for name, figure in figures.items():
        (IMAGES / f"foundations-{name}.png").write_bytes(to_png(figure, 150))


if __name__ == "__main__":
    main()
