"""Two players: an adversary trains beside the model, and each gradient reaches its own player's parameters only."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from toys import build

from ratelab.core.batch import Batch, Noise
from ratelab.core.model import Model
from ratelab.core.objective import Loss, Objective, Player, Setting, State, Turn
from ratelab.core.passes import Pass
from ratelab.training import OPTIMISERS, Plan, Trainer


class Adversarial(Objective):
    """An adversarial autoencoder in small: distortion plus a code critic's verdict; the critic tells codes from prior draws."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.latent = setting.latent_shapes[0][0]
        self.critic = nn.Sequential(nn.Linear(self.latent, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def initial_state(self) -> State:
        return {"turns": torch.zeros(())}

    def loss(self, seen: Pass, state: State) -> Loss:
        fooled = F.softplus(-self.critic(seen.layers[0].z)).mean()
        return Loss(seen.mean(seen.distortion) + fooled, {"fooled": fooled}, state)

    def tell_apart(self, model: Model, batch: Batch, noise: Noise, state: State) -> Turn:
        codes = model(batch, noise).layers[0].z[0].detach()
        prior = noise.normal(codes.shape)
        logit: Tensor = F.softplus(-self.critic(prior)).mean() + F.softplus(self.critic(codes)).mean()
        return Turn(Loss(logit, {}, {"turns": state["turns"] + 1}), None)

    def players(self, model: Model) -> tuple[Player, ...]:
        return (*super().players(model), Player("critic", tuple(self.critic.parameters()), self.tell_apart, steps=2))


def trainer(seed: int = 0, epochs: int = 3) -> Trainer:
    model, dataset = build("vae", seed)
    objective = Adversarial(Setting(model.event_shape, model.latent_shapes, epochs, len(dataset.train)))
    return Trainer(model, objective, dataset, OPTIMISERS.resolve("adam", "optimiser"), Plan(epochs=epochs, batch_size=25), seed)


def test_both_players_learn_take_their_turns_and_are_logged() -> None:
    run = trainer()
    critic = [p.clone() for p in run.objective.parameters()]
    row = run.run_epoch()
    assert all(not torch.equal(a, b) for a, b in zip(critic, run.objective.parameters(), strict=True))
    assert float(run.state["turns"]) == 2 * 3, "two critic steps on each of three batches, the last one not dropped"
    assert {"train/loss", "train/critic/loss", "train/fooled", "train/rate", "train/distortion"} <= set(row)


def test_a_gradient_reaches_its_own_player_only() -> None:
    run = trainer()
    model_player, critic_player = run.players
    batch = next(run.train_loader.ordered())
    for player, other in ((model_player, critic_player), (critic_player, model_player)):
        run.model.zero_grad()
        run.objective.zero_grad()
        run._backward(player, player.loss(run.model, batch, run.streams["training"], run.state))
        assert all(p.grad is None for p in other.parameters)
        assert any(p.grad is not None for p in player.parameters)


def test_two_players_resume_bit_for_bit() -> None:
    whole = trainer()
    rows = [whole.run_epoch() for _ in range(3)]
    half = trainer()
    half.run_epoch()
    blob = half.save()
    again = trainer(seed=0)
    again.restore(blob)
    later = [again.run_epoch() for _ in range(2)]
    for a, b in zip(rows[1:], later, strict=True):
        assert {k: v for k, v in a.items() if k != "seconds"} == {k: v for k, v in b.items() if k != "seconds"}
    assert all(torch.equal(a, b) for a, b in zip(whole.objective.parameters(), again.objective.parameters(), strict=True))
