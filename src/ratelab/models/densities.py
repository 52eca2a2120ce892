"""Densities without latents: q(x) of data, or q(z) of the codes of a trained run, fitted by maximum likelihood (Rosca et al. 2018, Alg. 4).

The rate is 0 and the distortion -log q. For data this is a point of the plane, where nothing is encoded; codes are another
run's, and have none.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from torch import Tensor, nn

from ratelab.core.batch import Batch, Noise
from ratelab.core.codes import Codes
from ratelab.core.dataset import Dataset, Support
from ratelab.core.errors import UserError
from ratelab.core.law import Law
from ratelab.core.model import Group, Model
from ratelab.core.passes import Pass
from ratelab.core.table import Node
from ratelab.marginals import MARGINALS
from ratelab.models.pixel_density import PIXEL_LAWS
from ratelab.models.subject import LayerNumber, Learner, Subject, code_shape

UNFIT = ("categorical", "vamp", "normal", "logistic")  # marginals of other latents, made of an encoder, or with nothing to fit


class CodeDensity(Learner):
    """A density of the codes z ~ q(z) of the run ``of``, drawn anew in every step.

    ``law``: a marginal with something to fit, e.g. ``mixture``, ``maf`` or ``lstm``. ``layer``: of all layers down to that one together.
    """

    target: Literal["x", "y", "z"] = "z"

    def __init__(
        self,
        dataset: Dataset,
        subject: Model,
        *,
        of: str,
        law: Annotated[Node, MARGINALS] = "mixture",
        layer: LayerNumber | None = None,
    ) -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.subject, self.codes = Subject(subject), Codes(layer)
        name = law["name"] if isinstance(law, dict) else law
        if name in UNFIT:
            able = ", ".join(name for name in MARGINALS if name not in UNFIT)
            raise UserError(f"model.law: '{name}' has nothing to fit to codes; use one of {able}")
        self.law = MARGINALS.build(law, code_shape(subject, self.codes, "model 'code-density'"), dataset)  # type: ignore[arg-type]

    def what(self) -> str:
        return "model 'code-density'"

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z) of codes (\\*lead, d): (\\*lead,), nats."""
        found: Tensor = self.law().log_prob(z)
        return found

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        return Pass(batch, self.subject.codes(self.codes, batch, noise), (), self.law())


class Density(Model):
    """A density q(x) of images, pixel after pixel, without latents; ``law``: ``gated-pixelcnn`` or ``pixelcnn++``."""

    latent_shapes = ()

    def __init__(self, dataset: Dataset, *, law: Annotated[Node, PIXEL_LAWS] = "gated-pixelcnn") -> None:
        super().__init__()
        self.event_shape = dataset.event_shape
        self.law = PIXEL_LAWS.build(law, self.event_shape)  # type: ignore[arg-type]
        if dataset.support not in self.law.scores:
            able: tuple[Support, ...] = tuple(self.law.scores)
            raise UserError(
                f"model.law: its pixels are {able[0].value} data, but '{dataset.name}' is {dataset.support.value}; set 'pixels' of the law"
            )

    def log_prob(self, x: Tensor) -> Tensor:
        """log q(x) of examples (\\*lead, \\*event): (\\*lead,), nats."""
        found: Tensor = self.law().log_prob(x)
        return found

    def forward(self, batch: Batch, noise: Noise, samples: int = 1, path: bool = True) -> Pass:
        return Pass(batch, batch.x, (), self.law(samples, batch.size))

    def generate(self, n: int, noise: Noise) -> Pass:
        law: Law = self.law(1, n)
        x = law.draw(noise).value[0]
        return Pass(Batch(x), x, (), law, origin="model")

    def log_joint(self, x: Tensor, z: tuple[Tensor, ...]) -> Tensor:
        found: Tensor = self.law(1, x.shape[0]).log_prob(x)
        return found

    def decode(self, z: tuple[Tensor, ...]) -> Tensor:
        law: Law = self.law()
        return law.mean

    def group(self, which: Group) -> Iterator[nn.Parameter]:
        return iter(()) if which == "inference" else self.parameters()
