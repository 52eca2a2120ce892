"""Networks: tensors to tensors, no probability. Two tables: from an example to features, from latents to an output."""

from ratelab.core.table import Table
from ratelab.networks.conv import ConvFeatures, DeconvRenderer
from ratelab.networks.custom import CustomFeatures, CustomRenderer
from ratelab.networks.dcgan import (
    ColorMnistCriticFeatures,
    ColorMnistFeatures,
    ColorMnistRenderer,
    DcganFeatures,
    DcganRenderer,
)
from ratelab.networks.gated_mlp import GatedMlpFeatures, GatedMlpRenderer
from ratelab.networks.maps import MapRenderer
from ratelab.networks.mlp import MlpFeatures, MlpRenderer
from ratelab.networks.wae_dcgan import WaeFeatures, WaeRenderer
from ratelab.networks.xiao2023 import XiaoFeatures, XiaoRenderer

FEATURES = Table(
    "feature network",
    {
        "mlp": MlpFeatures,
        "gated-mlp": GatedMlpFeatures,
        "conv": ConvFeatures,
        "dcgan": DcganFeatures,
        "colormnist": ColorMnistFeatures,
        "colormnist-critic": ColorMnistCriticFeatures,
        "wae-dcgan": WaeFeatures,
        "xiao2023": XiaoFeatures,
        "custom": CustomFeatures,
    },
)
RENDERERS = Table(
    "decoder network",
    {
        "mlp": MlpRenderer,
        "gated-mlp": GatedMlpRenderer,
        "deconv": DeconvRenderer,
        "dcgan": DcganRenderer,
        "colormnist": ColorMnistRenderer,
        "wae-dcgan": WaeRenderer,
        "xiao2023": XiaoRenderer,
        "maps": MapRenderer,
        "custom": CustomRenderer,
    },
)
