"""Laws of images that are drawn pixel after pixel: d(x|z) = product over pixels of d(x_i | x_<i, z) (Alemi et al. 2018, App. F).

Scoring takes one pass of the network, drawing one step per pixel with cached activations.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor
from torch.func import functional_call

from ratelab.core.batch import ModeNoise, Noise
from ratelab.core.law import Abilities, Draw, Law
from ratelab.core.sequence import one_by_one
from ratelab.networks.causal import RasterNetwork


class Autoregressive(Law):
    """A law of images (C, H, W) with values in [0, 1], one pixel given those before it in raster order.

    ``network`` gives the parameters of every pixel from the image on [-1, 1]; ``pixels`` turns parameters
    (\\*batch, P, H, W), of any H and W, into a law of (C, H, W) in which pixels are independent. ``context``: maps of
    conditions (\\*batch, M, H, W), or None for a law without conditions, whose batch shape is ().
    """

    mass = True
    abilities = Abilities(parallel_draws=False)

    def __init__(
        self,
        network: RasterNetwork,
        context: Tensor | None,
        event_shape: tuple[int, int, int],
        pixels: Callable[[Tensor], Law],
        *,
        fixed: bool = False,
    ) -> None:
        self.network, self.context, self.pixels, self.fixed = network, context, pixels, fixed
        self.event_shape: tuple[int, ...] = event_shape
        self.batch_shape = () if context is None else tuple(context.shape[:-3])
        probe = next(network.parameters())
        self._like = probe if context is None else context

    def _run(self, x: Tensor, context: Tensor | None) -> Tensor:
        if not self.fixed:
            return self.network(x, context)
        held = {name: p.detach() for name, p in self.network.named_parameters()}
        return functional_call(self.network, held, (x, context))

    def _context(self, lead: tuple[int, ...]) -> Tensor | None:
        """The conditions for leading axes ``lead``, flattened to one."""
        if self.context is None:
            return None
        maps = self.context.shape[-3:]
        return self.context.expand(*lead, *maps).reshape(-1, *maps)

    def log_prob(self, value: Tensor) -> Tensor:
        """nats; one pass of the network over all images."""
        lead = tuple(torch.broadcast_shapes(self.batch_shape, value.shape[:-3]))
        x = value.expand(*lead, *self.event_shape).reshape(-1, *self.event_shape)
        parameters = self._run(2 * x - 1, self._context(lead))
        return self.pixels(parameters.reshape(*lead, *parameters.shape[1:])).log_prob(value)

    @torch.no_grad()
    def _walk(self, noise: Noise, lead: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Draw pixel after pixel; returns the images and, for each pixel, its mean given the pixels before it."""
        images = self._like.new_zeros(*lead, *self.event_shape)
        means = torch.zeros_like(images)
        colours = self.event_shape[0]
        sampler = self.network.sampler(images.reshape(-1, *self.event_shape), self._context(lead))
        for row in one_by_one(self.event_shape[1]):
            for column in range(self.event_shape[2]):
                parameters = sampler.parameters(row, column)
                law = self.pixels(parameters.reshape(*lead, -1, 1, 1))
                value = law.draw(noise).value[..., 0, 0]
                images[..., row, column], means[..., row, column] = value, law.mean[..., 0, 0]
                sampler.write(row, column, 2 * value.reshape(-1, colours) - 1)
        return images, means

    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """One step per pixel, from ``noise`` in raster order; carries no gradient."""
        lead = (*(() if samples is None else (samples,)), *self.batch_shape)
        return Draw(self._walk(noise, lead)[0])

    @cached_property
    def _greedy_means(self) -> Tensor:
        mode = ModeNoise(device=self._like.device, dtype=self._like.dtype)
        return self._walk(mode, self.batch_shape)[1]

    @property
    def mean(self) -> Tensor:
        """Each pixel's mean given the *most likely* pixels before it, drawn one after the other.

        The mean over all images would be an average of exponentially many; this is the picture the law is most decided about.
        It takes as long as a draw, depends on the conditions alone, and carries no gradient.
        """
        return self._greedy_means

    def detached(self) -> "Autoregressive":
        context = None if self.context is None else self.context.detach()
        return Autoregressive(self.network, context, self.event_shape, self.pixels, fixed=True)  # type: ignore[arg-type]
