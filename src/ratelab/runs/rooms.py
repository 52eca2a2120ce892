"""Which section of a recipe is looked up in which room's table."""

from ratelab.core.table import Node, Table
from ratelab.data import DATASETS
from ratelab.models import MODELS
from ratelab.objectives import OBJECTIVES
from ratelab.training import OPTIMISERS

TABLES: dict[str, Table] = {"data": DATASETS, "model": MODELS, "objective": OBJECTIVES, "optimiser": OPTIMISERS}
DEFAULTS: dict[str, Node] = {"objective": "beta", "optimiser": "adam"}
