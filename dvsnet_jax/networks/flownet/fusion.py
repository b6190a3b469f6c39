"""FlowNet2: FlowNetCSS for large displacements, FlowNetSD for small ones, and a small network that fuses their flows at
full resolution (FlowNet 2.0, section 5 and figure 2).
"""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from dvsnet_jax.flownet_config import FLOW_DIVISOR, FlowNet2Config
from dvsnet_jax.networks.flownet.decoder import refine
from dvsnet_jax.networks.flownet.encoder import contract, fine_layers
from dvsnet_jax.networks.flownet.flownet_sd import FlowNetSD
from dvsnet_jax.networks.flownet.stack import FlowNetCSS, enlarge, magnitude, scoped, warp_and_error


class FlowNet2(nn.Module):
    """`predict_flow0`, in pixels at the images' size, and every intermediate.

    Those of the networks inside are 'FlowNetCSS/…' and 'FlowNetSD/…'; `flow_css`, `flow_sd` (pixels), `warped_css`,
    `warped_sd` and `fusion_input` are what the fusion reads. The fusion's own layers are FlowNet2's, by the original's
    names (`fuse_conv0`), and have biases everywhere, in every convention. Height and width are multiples of 64.
    """

    config: FlowNet2Config

    @nn.compact
    def __call__(
        self, first: Float[Array, "n h w 3"], second: Float[Array, "n h w 3"]
    ) -> tuple[Float[Array, "n h w 2"], dict[str, Float[Array, "..."]]]:
        c, convention = self.config.channels, self.config.convention
        css, seen_css = FlowNetCSS(self.config, name="FlowNetCSS")(first, second)
        sd, seen_sd = FlowNetSD(self.config, name="FlowNetSD")(first, second)
        seen = scoped("FlowNetCSS", seen_css) | scoped("FlowNetSD", seen_sd)

        css = seen["flow_css"] = enlarge(css * FLOW_DIVISOR, convention.last_enlarging)
        sd = seen["flow_sd"] = enlarge(sd * convention.stacked_sd_gain, convention.last_enlarging)
        seen["warped_css"], css_error = warp_and_error(first, second, css, convention)
        seen["warped_sd"], sd_error = warp_and_error(first, second, sd, convention)
        seen["fusion_input"] = jnp.concatenate(
            [first, sd, css, magnitude(sd), magnitude(css), sd_error, css_error], axis=-1
        )

        seen |= contract(seen["fusion_input"], fine_layers((c(64), c(128)), prefix="fuse_"))
        seen |= refine(
            seen["fuse_conv2_1"],
            {1: seen["fuse_conv1_1"], 0: seen["fuse_conv0"]},
            (c(32), c(16)),
            deconv_biases=True,
            upsample_biases=True,
            interconv=True,
            prefix="fuse_",
        )
        return seen["predict_flow0"], seen
