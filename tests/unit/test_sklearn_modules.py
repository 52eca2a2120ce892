"""Arrays of any shape, and networks of the user's own."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import Tensor, nn

import ratelab as rl
from ratelab.core.errors import UserError

Floats = NDArray[np.floating]
IMAGES: Floats = load_digits().images[:200]


def small(**options: Any) -> rl.VAE:
    """An estimator that trains in a moment."""
    return rl.VAE(**{"latent_dim": 3, "hidden": (16,), "epochs": 3, "random_state": 0, **options})


def conv() -> dict[str, nn.Module]:
    """A small convolutional pair for (1, 8, 8) images."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1), nn.Flatten())
    decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)), nn.ConvTranspose2d(4, 1, 4, 2, 1))
    return {"encoder": encoder, "decoder": decoder}


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (2, 4, 8), (4, 2, 2, 4), (64,)])
@pytest.mark.parametrize("binary", [True, False])
def test_any_event_shape_comes_back_as_given(shape: tuple[int, ...], binary: bool) -> None:
    x = (IMAGES > 7 if binary else IMAGES).reshape(-1, *shape)
    vae = small(epochs=1).fit(x)
    z = vae.transform(x)
    assert z.shape == (200, 3)
    assert vae.inverse_transform(z).shape == x.shape
    assert vae.sample(2).shape == (2, *shape)
    assert vae.event_shape_ == shape


@pytest.mark.parametrize("latent_dim", [3, (2, 3)])
def test_convolutional_modules_on_images(latent_dim: int | tuple[int, ...]) -> None:
    x = IMAGES[:, None]
    vae = small(latent_dim=latent_dim, beta=0.5, epochs=40, learning_rate=5e-3, **conv()).fit(x)
    z = vae.transform(x)
    assert vae.inverse_transform(z).shape == x.shape
    np.testing.assert_allclose(vae.transform(x[:1]), z[:1], atol=1e-10)
    mean = np.broadcast_to(x.mean(0), x.shape)
    assert ((vae.inverse_transform(z) - x) ** 2).mean() < 0.8 * ((mean - x) ** 2).mean()


def test_a_users_modules_are_copied_and_fits_repeat() -> None:
    modules = conv()
    before = {name: tensor.clone() for name, tensor in modules["encoder"].state_dict().items()}
    vae = small(**modules).fit(IMAGES[:, None])
    after = modules["encoder"].state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert next(modules["encoder"].parameters()).dtype == torch.float32
    first = vae.transform(IMAGES[:, None])
    np.testing.assert_array_equal(vae.fit(IMAGES[:, None]).transform(IMAGES[:, None]), first)
    np.testing.assert_array_equal(clone(vae).fit(IMAGES[:, None]).transform(IMAGES[:, None]), first)


def test_one_module_of_ones_own_beside_the_default_network() -> None:
    assert small(encoder=conv()["encoder"]).fit(IMAGES[:, None]).transform(IMAGES[:, None]).shape == (200, 3)
    assert small(decoder=conv()["decoder"]).fit(IMAGES[:, None]).sample().shape == (1, 1, 8, 8)


class SinglePrecision(nn.Module):
    """Works in float32 only."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) @ torch.eye(4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": nn.Linear(3, 60)}, r"custom decoder gives \(60,\) for one example where \(64,\) is needed"),
        ({"decoder": nn.Linear(5, 64)}, r"custom decoder cannot take input of shape \(batch, 3\)"),
        ({"encoder": nn.Linear(60, 8)}, r"custom encoder cannot take input of shape \(batch, 64\)"),
        ({"encoder": nn.Flatten(0)}, "custom encoder must return one tensor with the batch first"),
        ({"encoder": nn.Linear}, "encoder must be a torch.nn.Module instance"),
        ({"encoder": SinglePrecision()}, "must also run in float64"),
    ],
)
def test_modules_that_do_not_fit_are_named_before_training(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        small(**options).fit(IMAGES.reshape(-1, 64))
    assert "\n" not in str(caught.value)


def test_images_of_another_shape_are_refused() -> None:
    vae = small(epochs=1).fit(IMAGES)
    with pytest.raises(UserError, match=r"shape \(8, 4\), but this VAE was fitted on \(8, 8\)"):
        vae.transform(IMAGES[:, :, :4])
