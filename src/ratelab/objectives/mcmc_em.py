"""Monte Carlo EM: the M-step climbs log p(x, z) at draws of the posterior by Hamiltonian Monte Carlo (K19, App. A, eq. A.11-A.14).

Every row keeps a chain, which moves on with each visit and needs the posterior only up to a constant: its score in z is that of the
joint. The encoder learns by maximum likelihood from the same draws, so that it minimises KL(p(z|x) || e(z|x)): what is measured, and new
rows' codes, come from it.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from ratelab.core.batch import Batch, Noise
from ratelab.core.errors import UserError
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.core.reference import K19, NEAL11, Reference
from ratelab.core.serving import check_drawn, check_laws, check_one_layer
from ratelab.core.target import check_rate, trial
from ratelab.encoders.hmc import hmc
from ratelab.networks.layers import size_of

ACCEPTANCE = 0.8  # aimed at; the step size follows
LOG_STEP_RANGE = (-12.0, 3.0)
Count = Annotated[int, Field(ge=1)]


class MonteCarloEm(Objective):
    """-log d(x|z) - log m(z) - log e(z|x) at z ~ p(z|x) by HMC, in nats, for one layer of continuous latents.

    ``transitions`` per visit of ``leapfrogs`` steps; their size begins at ``step_size`` and is steered towards an acceptance of 0.8. The
    log shows both, and the energy that the M-step minimises as ``energy``.
    """

    references = (Reference(K19, "eq. A.11-A.14"), Reference(NEAL11, "section 3"))
    stacks = False
    log_step_size: Tensor

    def __init__(
        self,
        setting: Setting,
        *,
        transitions: Count = 3,
        leapfrogs: Count = 5,
        step_size: Annotated[float, Field(gt=0)] = 0.1,
    ) -> None:
        super().__init__()
        self.hyper("log_step_size", float(torch.tensor(step_size).log()))
        self.transitions, self.leapfrogs = transitions, leapfrogs
        self.examples, self.latents = setting.examples, [size_of(shape) for shape in setting.latent_shapes]

    def initial_state(self) -> State:
        like = self.log_step_size
        chains = like.new_zeros(self.examples, sum(self.latents))
        return {"chains": chains, "started": like.new_zeros(self.examples), "log_step": like.clone()}

    def players(self, model: Model) -> tuple[Player, ...]:
        check_rate(model, "mcmc-em", verb="measures")
        check_drawn(model, "mcmc-em")
        check_one_layer(model, "mcmc-em", "elbo")
        check_laws(model, "mcmc-em")
        (layer,) = trial(model).layers
        assert layer.encoder is not None
        if model.target != "x":
            raise UserError(
                "objective 'mcmc-em' draws latents given the example, and this model scores labels alone; use 'beta'"
            )
        if layer.encoder.capacity < float("inf"):
            raise UserError("objective 'mcmc-em' moves latents continuously; for one-hot latents use 'elbo' or 'nvil'")
        return super().players(model)

    def turn(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        if batch.index is None:
            raise ValueError("mcmc-em: a batch without row numbers has no chains")
        seen = model(batch, noise, 1, False)
        rows, shape = batch.index, seen.layers[0].z.shape[2:]
        started = state["started"][rows].unsqueeze(-1) > 0
        z = torch.where(started, state["chains"][rows].to(seen.layers[0].z.dtype), seen.layers[0].z[0].flatten(1).detach())

        def log_joint(at: Tensor) -> Tensor:
            return model.log_joint(batch.x, (at.unflatten(-1, shape).unsqueeze(0),))[0]

        acceptances = []
        for _ in range(self.transitions):
            z, acceptance = hmc(z, log_joint, state["log_step"].to(z.dtype).exp(), self.leapfrogs, noise)
            acceptances.append(acceptance.mean())
        rate = torch.stack(acceptances).mean()
        encoder = seen.layers[0].encoder
        assert encoder is not None
        energy = -seen.mean(log_joint(z).unsqueeze(0))
        taught = -seen.mean(encoder.log_prob(z.unflatten(-1, shape).unsqueeze(0)))
        following = {
            "chains": state["chains"].index_copy(0, rows, z.to(state["chains"].dtype)),
            "started": state["started"].index_fill(0, rows, 1.0),
            "log_step": (state["log_step"] + 0.1 * (rate - ACCEPTANCE).to(state["log_step"].dtype)).clamp(*LOG_STEP_RANGE),
        }
        terms = {"energy": energy.detach(), "acceptance": rate, "step_size": state["log_step"].exp()}
        return Turn(Loss(energy + taught, terms, following), seen)

    def loss(self, seen: Pass, state: State) -> Loss:
        """The same at the pass's own draws, from the encoder; :meth:`turn` puts the posterior's in their place."""
        (layer,) = seen.layers
        return Loss(seen.mean(seen.distortion - layer.log_marginal - layer.log_encoder), {}, state)
