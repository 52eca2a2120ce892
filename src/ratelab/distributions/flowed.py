"""A law pushed through a flow: z = f(e), e ~ base, log q(z) = log base(e) - log |det f'(e)| (K19, eq. 3.10-3.16)."""

from torch import Tensor

from ratelab.core.batch import Noise
from ratelab.core.law import Abilities, Draw, Law, full_precision, without_autocast
from ratelab.distributions.flows.step import Moved, Step, held_fixed


class Flowed(Law):
    """The push-forward of ``base`` through ``flow``, steered by ``context`` (\\*batch, c) where the flow depends on x.

    The flow is part of the density, so it runs in float32 under autocast.

    A draw comes with its log-density. The law remembers where its last draw came from, so that scoring that very tensor costs
    nothing; any other value is taken back through the flow, which is slow where the inverse is sequential.
    """

    def __init__(self, base: Law, flow: Step, context: Tensor | None = None) -> None:
        self.base, self.flow = base, flow
        self.context = None if context is None else full_precision(context)
        self.batch_shape, self.event_shape = base.batch_shape, base.event_shape
        self.abilities = Abilities(parallel_draws=flow.parallel_forward, parallel_scores=flow.parallel_inverse)
        self._drawn: tuple[Tensor, Moved] | None = None

    @property
    @without_autocast
    def mean(self) -> Tensor:
        """Where the base's mean goes: the mean itself has no closed form."""
        return self.flow(self.base.mean, self.context).value

    @without_autocast
    def draw(self, noise: Noise, samples: int | None = None) -> Draw:
        """The mode of the base goes where it goes: under a mode request this need not be the mode of the push-forward."""
        source = self.base.draw(noise, samples).value
        value, log_det = self.flow(source, self.context)
        self._drawn = value, Moved(source, -log_det)
        return Draw(value, self.base.log_prob(source) - log_det)

    @without_autocast
    def source(self, value: Tensor) -> Moved:
        """Where ``value`` came from, with the inverse map's log-determinant: known for this law's last draw, else by inverting."""
        if self._drawn is not None and self._drawn[0] is value:
            return self._drawn[1]
        return self.flow.inverse(full_precision(value), self.context)

    def log_prob(self, value: Tensor) -> Tensor:
        source, log_det = self.source(value)
        return self.base.log_prob(source) + log_det

    def carrying(self, base: Law) -> "Flowed":
        """Another law pushed through the same flow, which therefore also knows where this law's last draw came from.

        Only a flow that does not depend on x is shared by all of its laws; then ratios of their densities are ratios of
        the bases' densities, and a flow that is slow to invert need not be inverted (Alemi et al. 2018, family "+v").
        """
        assert self.context is None
        other = Flowed(base, self.flow)
        other._drawn = self._drawn
        return other

    def detached(self) -> "Flowed":
        context = None if self.context is None else self.context.detach()
        return Flowed(self.base.detached(), held_fixed(self.flow), context)
