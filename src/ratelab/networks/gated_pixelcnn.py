"""The gated PixelCNN (van den Oord et al. 2016, "Conditional Image Generation with PixelCNN Decoders", section 2).

One resolution, two stacks: the vertical one sees the rows above, the horizontal one the pixels to the left and the vertical stack.
A map of conditions enters every layer through a 1x1 convolution (their section 2.3), as in a PixelVAE (Gulrajani et al. 2017).
"""

import torch
from torch import Tensor, nn

from ratelab.networks.causal import CausalConv, RasterNetwork, Sampler, Steps, WholeImage, shift_down, shift_right, with_ones
from ratelab.networks.pixelcnn_cache import Memory, Pixels, Rows


def gate(both: Tensor) -> Tensor:
    """tanh(a) sigmoid(b) for the two halves of the features."""
    a, b = both.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


class GatedLayer(nn.Module):
    """One layer of both stacks. ``conditions``: (N, 4 features, ...) for the two stacks, or 0."""

    def __init__(self, features: int, kernel: int) -> None:
        super().__init__()
        past = kernel // 2 + 1
        self.down = CausalConv(features, 2 * features, (past, kernel), centred=True)
        self.right = CausalConv(features, 2 * features, (1, past), centred=False)
        self.link = nn.Conv2d(2 * features, 2 * features, 1)
        self.out = nn.Conv2d(features, features, 1)

    def vertical(self, v: Tensor, condition: Tensor | float, steps: Steps) -> tuple[Tensor, Tensor]:
        """The vertical stack's next features, and what it hands to the horizontal one."""
        before = steps.conv(self.down, v)
        return gate(before + condition), steps.conv(self.link, before)

    def horizontal(self, h: Tensor, linked: Tensor, condition: Tensor | float, steps: Steps) -> Tensor:
        return h + steps.conv(self.out, gate(steps.conv(self.right, h) + linked + condition))


class GatedPixelCnn(RasterNetwork):
    """``channels`` of an image and ``context`` maps of conditions to ``outputs`` per pixel; images of any size."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        context: int = 0,
        *,
        features: int = 64,
        layers: int = 5,
        kernel: int = 3,
        first_kernel: int = 7,
    ) -> None:
        super().__init__()
        inputs, past = channels + 1, first_kernel // 2
        self.enter_above = CausalConv(inputs, 2 * features, (past, first_kernel), centred=True)
        self.enter_left = CausalConv(inputs, 2 * features, (1, past), centred=False)
        self.enter_link = nn.Conv2d(2 * features, 2 * features, 1)
        self.layers = nn.ModuleList(GatedLayer(features, kernel) for _ in range(layers))
        self.conditions = nn.Conv2d(context, 4 * features * (layers + 1), 1, bias=False) if context else None
        self.mix = nn.Conv2d(features, features, 1)
        self.out = nn.Conv2d(features, outputs, 1)

    def split_conditions(self, context: Tensor | None) -> list[tuple[Tensor | float, Tensor | float]]:
        """What the context adds to the vertical and the horizontal stack, layer by layer, the entry first."""
        count = len(self.layers) + 1
        if self.conditions is None or context is None:
            return [(0.0, 0.0)] * count
        parts = self.conditions(context).chunk(2 * count, 1)
        return list(zip(parts[::2], parts[1::2], strict=True))

    def vertical(self, entered: Tensor, conditions: list[Tensor | float], steps: Steps) -> list[Tensor]:
        """What the vertical stack hands to each layer of the horizontal one."""
        v, links = gate(entered + conditions[0]), [steps.conv(self.enter_link, entered)]
        for layer, condition in zip(self.layers, conditions[1:], strict=True):
            v, linked = layer.vertical(v, condition, steps)  # type: ignore[operator]
            links.append(linked)
        return links

    def horizontal(self, entered: Tensor, links: list[Tensor], conditions: list[Tensor | float], steps: Steps) -> Tensor:
        h = gate(entered + links[0] + conditions[0])
        for layer, linked, condition in zip(self.layers, links[1:], conditions[1:], strict=True):
            h = layer.horizontal(h, linked, condition, steps)  # type: ignore[operator]
        return steps.conv(self.out, torch.relu(steps.conv(self.mix, torch.relu(h))))

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        steps, seen = WholeImage(), with_ones(x, None)
        conditions = self.split_conditions(context)
        links = self.vertical(shift_down(self.enter_above(seen)), [v for v, _ in conditions], steps)
        return self.horizontal(shift_right(self.enter_left(seen)), links, [h for _, h in conditions], steps)

    def sampler(self, x: Tensor, context: Tensor | None) -> Sampler:
        return GatedPixelCnnSampler(self, x, context)


class GatedPixelCnnSampler(Sampler):
    """Draws from a :class:`GatedPixelCnn` with cached activations."""

    def __init__(self, network: GatedPixelCnn, x: Tensor, context: Tensor | None) -> None:
        self.network, self.colours = network, x.shape[1]
        self.seen = with_ones(torch.zeros_like(x), None)
        self.conditions = network.split_conditions(context)
        self.blank = x.new_zeros(x.shape[0], network.enter_above.out_channels, 1, x.shape[3])
        self.links: list[Tensor] = []
        self.memory = Memory()

    def _start_row(self, row: int) -> None:
        steps, entered = Rows(self.memory, row), self.blank
        if row:
            entered = steps.conv(self.network.enter_above, self.seen[:, :, row - 1 : row])
        conditions = [v[:, :, row : row + 1] if isinstance(v, Tensor) else v for v, _ in self.conditions]
        self.links = self.network.vertical(entered, conditions, steps)

    def parameters(self, row: int, column: int) -> Tensor:
        if column == 0:
            self._start_row(row)
        width = self.seen.shape[3]
        steps, entered = Pixels(self.memory, row, column, width), self.blank[:, :, 0, 0]
        if column:
            before = Pixels(self.memory, row, column - 1, width)
            entered = before.conv(self.network.enter_left, self.seen[:, :, row, column - 1])
        links = [steps.pick(linked) for linked in self.links]
        conditions = [h[:, :, row, column] if isinstance(h, Tensor) else h for _, h in self.conditions]
        return self.network.horizontal(entered, links, conditions, steps)

    def write(self, row: int, column: int, pixel: Tensor) -> None:
        self.seen[:, : self.colours, row, column] = pixel
