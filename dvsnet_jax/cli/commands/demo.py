"""`dvsnet demo`."""

from __future__ import annotations

from dataclasses import dataclass

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.screen import tell
from dvsnet_jax.cli.segmenting.all_inputs import segment_all
from dvsnet_jax.cli.segmenting.outputs import Outputs

_SIZE = (256, 512)
_SEED = 5  # a street with a bit of everything


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Draw a short clip of a street and segment it.

    This is the whole path without any file from elsewhere.
    """

    out: str = "demo-out"
    """Folder to write to, in the place of what an earlier demo wrote there."""
    overwrite: bool = False
    """Write in the place of what another command wrote there, too."""
    frames: int = 24
    """Length of the clip."""

    def run(self) -> int:
        if self.frames < 1:
            raise UsageError(f"--frames is {self.frames}, but it counts frames: 1 or more")

        from dvsnet_jax import checkpoints
        from dvsnet_jax.datasets.street.scene import StreetScene
        from dvsnet_jax.inference.segment_source import Segmenter
        from dvsnet_jax.media.output_folder import check_products
        from dvsnet_jax.media.sources import open_source
        from dvsnet_jax.media.video_writer import VideoWriter
        from dvsnet_jax.media.written_files import WrittenFiles

        outputs = Outputs(out=self.out)
        written = WrittenFiles(self.out, writer="dvsnet demo", overwrite=self.overwrite or "dvsnet demo")
        folder, clip = written.folder, written.folder / "clip.mp4"
        written.check_free([clip])
        check_products(written, folder, outputs.products)
        tell(f"drawing {self.frames} frames into {clip}")
        written.add(clip)
        with VideoWriter(clip, frame_rate=10) as video:
            scene = StreetScene(_SEED, *_SIZE, frames=self.frames)
            for frame in range(self.frames):
                video.write(scene.draw(frame)[0])
        segmenter = Segmenter(*checkpoints.load_bundled("carried"))
        status = segment_all([open_source(clip)], written, segmenter, outputs)
        tell(f"Look at {folder / 'overlay.mp4'}: regions framed in amber were segmented anew, those in white warped.")
        return status
