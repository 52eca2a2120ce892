"""The fully connected networks of Tomczak and Welling 2018 (public code: 784-300-300 gated units, 40 latents, 300-300-784).

Every hidden layer is gated, (W1 h + b1) * sigmoid(W2 h + b2), and every weight starts as He et al. 2015 propose, N(0, 2 / inputs); biases
start as PyTorch's.
"""

from torch import nn

from ratelab.networks.mlp import MlpFeatures, MlpRenderer, Widths


class GatedMlpFeatures(MlpFeatures):
    """Gated fully connected features of an example of any shape: (\\*lead, \\*event) -> (\\*lead, features)."""

    def __init__(self, event_shape: tuple[int, ...], *, hidden: Widths = (300, 300)) -> None:
        super().__init__(event_shape, hidden=hidden, activation="gated")
        self.apply(start_as_he)


class GatedMlpRenderer(MlpRenderer):
    """Gated fully connected layers from latents to an output of any shape: (\\*lead, \\*latent) -> (\\*lead, \\*out)."""

    def __init__(self, latent_shape: tuple[int, ...], out_shape: tuple[int, ...], *, hidden: Widths = (300, 300)) -> None:
        super().__init__(latent_shape, out_shape, hidden=hidden, activation="gated")
        self.apply(start_as_he)


def start_as_he(module: nn.Module) -> None:
    """Weights N(0, 2 / inputs) for a linear layer; biases stay."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
