"""One model for the whole curve: encoders, decoder and conditional marginals that are gated by log beta (Bae et al. 2023).

Gates lie on every layer of the networks but the one that ends in the likelihood, on the encoder's heads, and on the latents on their way
into the decoder. In the linear-Gaussian case that is enough for the optimum at every beta: there the posterior's log-variance is log beta
plus a constant, and a latent's gain in the decoder falls to 0 where beta makes it useless. The top marginal is the same for all beta.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from ratelab.core.condition import Conditioning
from ratelab.core.errors import UserError
from ratelab.core.reference import BAE23, Reference
from ratelab.core.table import Table
from ratelab.decoders.gated_pixelcnn import GatedPixelCnnDecoder
from ratelab.decoders.pixelcnnpp import PixelCnnPlusPlusDecoder
from ratelab.distributions.flows.step import Step
from ratelab.encoders.deterministic import DeterministicEncoder
from ratelab.encoders.implicit import ImplicitEncoder
from ratelab.marginals.vamp import VampPrior
from ratelab.networks.custom import CustomFeatures, CustomRenderer
from ratelab.networks.gates import Board, GatedInput, GatedLayer, Gates
from ratelab.networks.layers import SameConv, SameDeconv, size_of

Beta = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WIDTHS = {
    nn.Linear: "out_features",
    nn.Conv2d: "out_channels",
    SameConv: "out_channels",
    nn.ConvTranspose2d: "out_channels",
    SameDeconv: "out_channels",
}


class BetaConditioning(Conditioning):
    """Gates on all networks by log beta, which is drawn for each training example over ``range``: one model for the whole curve.

    ``hidden``: units of the network that makes the gates (0: an affine map of log beta). ``draws``: ``even`` in log beta, or more at
    the two ``ends`` of the range, where training has neighbours on one side only and models are worst.
    """

    references = (Reference(BAE23, "section 3, eq. 8"),)

    def __init__(
        self,
        encoders: Sequence[nn.Module],
        decoder: nn.Module,
        marginals: Sequence[nn.Module],
        latent_shapes: Sequence[tuple[int, ...]],
        *,
        range: tuple[Beta, Beta] = (0.1, 4.0),
        hidden: Annotated[int, Field(ge=0)] = 32,
        draws: Literal["even", "ends"] = "even",
    ) -> None:
        super().__init__(*range, layers=len(latent_shapes), ends=draws == "ends")
        check_parts(encoders, decoder, marginals)
        self.board = Board()
        widths: list[int] = []
        for part in (*encoders, *marginals[1:]):
            widths += gate_layers(part, self.board, len(widths))
        widths += gate_layers(decoder.network, self.board, len(widths), all_but_last=True)  # type: ignore[arg-type]
        decoder.network = GatedInput(decoder.network, self.board, len(widths))  # type: ignore[arg-type]
        widths.append(size_of(latent_shapes[-1]))
        self.gates = Gates(self.layers, widths, hidden, self.board)

    def hung(self, condition: Tensor | None) -> AbstractContextManager[None]:
        """Use the gates of log betas ``condition`` (B, L), or of the betas that the model is used at, while the block runs."""
        log_beta = self.at if condition is None else condition
        low, high = math.log(self.low), math.log(self.high)
        return self.gates.hung((2 * log_beta - low - high) / (high - low))


CONDITIONINGS = Table("conditioning", {"beta": BetaConditioning})


def hung(conditioning: Conditioning | None, condition: Tensor | None = None) -> AbstractContextManager[None]:
    """:meth:`BetaConditioning.hung` for a model that is conditioned; nothing for any other."""
    return conditioning.hung(condition) if isinstance(conditioning, BetaConditioning) else nullcontext()


def gate_layers(part: nn.Module, board: Board, first: int, all_but_last: bool = False) -> list[int]:
    """Replace the layers of ``part`` by gated ones, in place, numbered from ``first``; their widths. Flows stay as they are."""
    found = [
        (parent, name) for parent in _outside_flows(part) for name, child in parent.named_children() if type(child) in WIDTHS
    ]
    if all_but_last:
        found = found[:-1]
    widths: list[int] = []
    for parent, name in found:
        layer = getattr(parent, name)
        axes = 0 if isinstance(layer, nn.Linear) else 2
        setattr(parent, name, GatedLayer(layer, board, first + len(widths), axes))
        widths.append(int(getattr(layer, WIDTHS[type(layer)])))
    return widths


def _outside_flows(part: nn.Module) -> Iterator[nn.Module]:
    yield part
    for child in part.children():
        if not isinstance(child, Step):
            yield from _outside_flows(child)


def check_parts(encoders: Sequence[nn.Module], decoder: nn.Module, marginals: Sequence[nn.Module]) -> None:
    """:class:`UserError` where a part of the model cannot serve many betas."""
    why = ""
    if isinstance(decoder, (PixelCnnPlusPlusDecoder, GatedPixelCnnDecoder)):
        why = "an autoregressive decoder has no gates; use one that scores all pixels at once, e.g. 'bernoulli'"
    elif next(decoder.parameters(recurse=False), None) is not None:
        why = "the decoder learns one scale, which would have to serve every beta; give it a number, e.g. 'model.decoder.sigma: 0.5'"
    elif isinstance(marginals[0], VampPrior):
        why = "the marginal 'vamp' is made of one encoder, and here every beta has its own; use 'normal'"
    modules = [module for part in (*encoders, decoder, *marginals) for module in part.modules()]
    if any(isinstance(module, (ImplicitEncoder, DeterministicEncoder)) for module in modules):
        why = "the encoder has no density, so it has no rate to weigh by beta; use 'gaussian'"
    elif any(isinstance(module, (CustomFeatures, CustomRenderer)) for module in modules):
        why = "a network of your own has no gates; use one of 'ratelab list networks'"
    elif any(isinstance(module, nn.BatchNorm2d) for module in modules):
        why = "batch normalisation mixes the examples of many betas; set 'norm: none' of the network"
    if why:
        raise UserError(f"model.conditioning: {why}")
