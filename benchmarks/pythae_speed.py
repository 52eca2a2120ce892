"""Training speed against pythae 0.1.2: the network of its default MLP VAE, latent 10, batch 100, 10 000 binary images.

pythae lives in an environment of its own, with this project beside it (never install torchvision):

    python -m venv /tmp/pythae && /tmp/pythae/bin/pip install -c constraints.txt -e . cloudpickle
    /tmp/pythae/bin/pip install --no-deps pythae==0.1.2 imageio tqdm
    /tmp/pythae/bin/python benchmarks/pythae_speed.py

Both train in one process, taking turns epoch by epoch; the last line is the ratio of median images per second.
"""

import argparse
import contextlib
import io
import logging
import statistics
import tempfile

import numpy as np
import torch

from ratelab.core.dataset import Dataset, Split, Support
from ratelab.core.objective import Setting
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS, Plan, Trainer
from step import alternate

N, BATCH, LATENT, WIDTH = 10_000, 100, 10, 512


def ours(x: np.ndarray):  # type: ignore[no-untyped-def]
    split = Split(x.astype(np.uint8))
    data = Dataset("noise", Support.BINARY, split, Split(split.x[:100]), Split(split.x[:100]))
    mlp = {"name": "mlp", "hidden": [WIDTH]}
    node = {"name": "vae", "latent_dim": LATENT, "encoder": {"name": "gaussian", "network": mlp, "spread": "exp-half"},
            "decoder": {"name": "bernoulli", "network": mlp}}  # fmt: skip
    model = MODELS.build(MODELS.resolve(node, "model"), data)
    objective = OBJECTIVES.build({"name": "elbo"}, Setting(model.event_shape, model.latent_shapes, 10**6, N))
    plan = Plan(epochs=10**6, batch_size=BATCH, validate_every=10**6)
    trainer = Trainer(model, objective, data, OPTIMISERS.resolve("adam", "optimiser"), plan, 0)
    return trainer.run_epoch, sum(p.numel() for p in model.parameters())


def theirs(x: np.ndarray, folder: str):  # type: ignore[no-untyped-def]
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    images = torch.as_tensor(x, dtype=torch.float32)
    model = VAE(VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce"))
    config = BaseTrainerConfig(output_dir=folder, num_epochs=1, per_device_train_batch_size=BATCH, learning_rate=1e-3,
                               train_dataloader_num_workers=0, no_cuda=True)  # fmt: skip
    trainer = BaseTrainer(model, BaseDataset(images, torch.zeros(len(images))), training_config=config)
    trainer.prepare_training()

    def epoch() -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            trainer.train_step(1)

    return epoch, sum(p.numel() for p in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable(logging.WARNING)
    x = (np.random.default_rng(0).random((N, 1, 28, 28)) < 0.13).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        (run, count), (other, other_count) = ours(x), theirs(x, folder)
        assert count == other_count, (count, other_count)
        times = alternate({"ratelab": run, "pythae": other}, arguments.repeats)
    speeds = {name: N / statistics.median(values) for name, values in times.items()}
    for name, speed in speeds.items():
        print(f"{name:8} {speed:9.0f} images/s")
    print(
        f"{count} parameters each, {arguments.threads} thread(s): {speeds['ratelab'] / speeds['pythae']:.2f}x pythae's images/s"
    )


if __name__ == "__main__":
    main()
