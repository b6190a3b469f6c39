"""`dvsnet flow`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.option_types import OptionalCount, OptionalPath, OptionalPositive, option
from dvsnet_jax.cli.screen import progress_bar, tell

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from dvsnet_jax.media.motion.attached import Kind
    from dvsnet_jax.media.sources import Source


@dataclass(frozen=True, kw_only=True)
class Flow:
    """Estimate optical flow of two images, a video or a labelled set.

    Of a pair it is written as .flo, KITTI PNG or picture, of a video or folder as a flow video.
    """

    inputs: Annotated[tyro.conf.Positional[tuple[str, ...]], option("FIRST SECOND | INPUT")] = ()
    """Two images; or one video, folder or list, whose flow from each frame to the next is drawn as a video."""
    weights: Annotated[str | None, option("PATH")] = None
    """Weights of a FlowNet2 network: a folder made by 'dvsnet import', flownet2-tf's checkpoint, NVIDIA's .pth.tar."""
    network: Annotated[str | None, option("NAME")] = None
    """FlowNet2, FlowNetCSS, FlowNetCS, FlowNetC, FlowNetS or FlowNetSD; needed where --weights is a foreign file."""
    out: OptionalPath = None
    """x.flo or x.png (KITTI's 16-bit form) for a pair, x.mp4 for a video."""
    picture: OptionalPath = None
    """Draw the pair's flow here with Middlebury's colour wheel (PNG)."""
    truth: OptionalPath = None
    """The pair's true flow: prints the end-point error and Fl-all. .flo, KITTI's or HD1K's .png, .pfm (FlyingThings),
    .flo5 (Spring), .npz (VIPER) or .npy (TartanAir). Without images, a set: sintel:ROOT:clean|final,
    things:ROOT:TRAIN|TEST:clean|final, kitti, hd1k, spring or tartanair:ROOT, viper:ROOT:train|val, pairs:FOLDER."""
    motion: Annotated[Literal["auto", "codec", "encoder", "dis"] | None, option("{auto,codec,encoder,dis}")] = None
    """For a video, in place of --weights: motion from each frame to the one before it, as 'dvsnet segment' finds it."""
    max_length: Annotated[OptionalPositive, option("PIXELS")] = None
    """Length of flow that gets full colour; the longest vector of the pair, or 20 in a video, if not given."""
    num_steps: OptionalCount = None
    """Stop after so many frames of a video."""

    def run(self) -> int:
        if self.num_steps is not None and self.num_steps < 2:
            raise UsageError(f"--num-steps is {self.num_steps}, but flow leads from a frame to the next: 2 or more")
        if self.num_steps is not None and len(self.inputs) != 1:
            raise UsageError("--num-steps is for a video, folder or list, of which one is named; leave it out")
        if not self.inputs and self.truth:
            return self._set(self.truth)
        if len(self.inputs) not in (1, 2):
            raise UsageError(f"{len(self.inputs)} inputs; name two images, or one video, folder or list")
        if self.motion and len(self.inputs) == 2:
            raise UsageError("--motion is for a video; the flow of a pair of images needs a network, --weights PATH")
        if self.motion and (self.weights or self.network):
            raise UsageError("--motion is in place of --weights and --network; leave one out")
        return self._pair() if len(self.inputs) == 2 else self._video()

    def _pair(self) -> int:
        if not (self.out or self.picture or self.truth):
            raise UsageError("nothing to do with the flow; add --out x.flo, --picture x.png or --truth y.flo")
        if self.out and Path(self.out).suffix.lower() not in (".flo", ".png"):
            raise UsageError(f"--out {self.out}: a pair's flow is written as .flo or .png (KITTI)")
        self._check_places(self.inputs)

        import numpy as np

        from dvsnet_jax.errors import InputError
        from dvsnet_jax.media.flow_files import read_flow, write_flow
        from dvsnet_jax.media.images import read_image, write_png

        first, second = (read_image(path, upright=True) for path in self.inputs)
        if first.shape != second.shape:
            raise InputError(
                f"{self.inputs[1]}: is {second.shape[0]}×{second.shape[1]}, but {self.inputs[0]} is "
                f"{first.shape[0]}×{first.shape[1]}; the images of a pair have one size"
            )
        truth = read_flow(self.truth, (first.shape[0], first.shape[1])) if self.truth else None
        if truth is not None and truth.shape[:2] != first.shape[:2]:
            raise InputError(
                f"{self.truth}: is {truth.shape[0]}×{truth.shape[1]}, but the images are "
                f"{first.shape[0]}×{first.shape[1]}; the true flow has the size of its images"
            )
        if truth is not None and not np.isfinite(truth).all(-1).any():
            raise InputError(f"{self.truth}: has no pixel whose flow is known, so nothing can be held against it")
        estimate = self._estimator()
        flow = estimate(first, second, str(self.inputs[0]))
        if self.out:
            write_flow(self.out, flow)
        if self.picture:
            from dvsnet_jax.flow_colors import flow_to_rgb

            write_png(self.picture, flow_to_rgb(flow, self.max_length))
        if truth is not None:
            import jax.numpy as jnp

            from dvsnet_jax.metrics.flow import endpoint_error, outlier_share

            estimated, true = jnp.asarray(flow), jnp.asarray(truth)
            print(f"end-point error {float(endpoint_error(estimated, true)):.3f} px")
            print(f"Fl-all {float(outlier_share(estimated, true)):.2%}")
        return 0

    def _set(self, spec: str) -> int:
        """Errors over all pairs of a set, each of which is read, measured and forgotten."""
        if self.out or self.picture or self.motion:
            raise UsageError("--truth with a set of pairs prints errors alone; leave out --out, --picture and --motion")

        from dvsnet_jax.datasets.flow.sets import flow_set
        from dvsnet_jax.metrics.flow import FlowErrors, flow_errors, pool_errors

        source, estimate = flow_set(spec), self._estimator()
        with progress_bar(spec, len(source)) as on_progress:

            def errors(number: int) -> FlowErrors:
                first, second, truth, valid = source[number]
                found = flow_errors(estimate(first, second, f"{spec}, pair {number}"), truth, valid)
                on_progress("flow", number + 1)
                return found

            scores = pool_errors(map(errors, range(len(source))))
        print(f"end-point error {scores.endpoint_error:.3f} px")
        print(f"Fl-all {scores.outlier_share:.2%}")
        print(f"of {scores.pixels} pixels in {len(source)} pairs")
        return 0

    def _video(self) -> int:
        if self.picture or self.truth:
            raise UsageError("--picture and --truth are for a pair of images; name two")

        from dvsnet_jax.media.video_writer import FORMATS

        if not self.out or Path(self.out).suffix.lower() not in FORMATS:
            raise UsageError(
                f"--out is {self.out or 'missing'}; the flow of a video is written as {', '.join(FORMATS)}, "
                "and for the flow of a pair two images are needed"
            )

        from contextlib import closing
        from itertools import islice

        from dvsnet_jax.errors import InputError
        from dvsnet_jax.flow_colors import flow_to_rgb
        from dvsnet_jax.media.sources import open_source
        from dvsnet_jax.media.video_writer import VideoWriter
        from dvsnet_jax.visualize import beside

        source = open_source(self.inputs[0])
        self._check_places(source.files)
        if self.motion:
            return self._motion(source, self.motion)
        estimate = self._estimator()
        before, drawn = None, 0
        with (
            VideoWriter(Path(self.out), frame_rate=source.frame_rate or 25) as video,
            progress_bar(source.name, source.count) as on_progress,
            closing(source.frames()) as frames,  # type: ignore[type-var]
        ):
            for count, frame in enumerate(islice(frames, self.num_steps)):
                if frame.image is None:
                    raise InputError(f"{frame.error}; the frames before it are in {self.out}") from frame.error
                if before is not None and before.shape != frame.image.shape:
                    raise InputError(f"{frame.where}: is of another size than the frame before it; cut the video there")
                if before is not None:
                    flow = estimate(before, frame.image, frame.where)
                    video.write(beside(before, flow_to_rgb(flow, self.max_length or 20.0)))
                    drawn += 1
                before = frame.image
                on_progress("flow", count + 1)
        if not drawn:
            raise InputError(
                f"{source.name}: has no two frames, and flow leads from each to the next; {self.out} was not written"
            )
        tell(f"written to {self.out}")
        return 0

    def _motion(self, source: Source, asked: Literal["auto"] | Kind) -> int:
        from contextlib import closing
        from itertools import islice

        import numpy as np

        from dvsnet_jax.errors import InputError
        from dvsnet_jax.flow_colors import flow_to_rgb
        from dvsnet_jax.frame_motion import CELL
        from dvsnet_jax.media.motion.attached import AUTO, Plan, with_motion
        from dvsnet_jax.media.video_writer import VideoWriter
        from dvsnet_jax.visualize import beside

        plan = AUTO if asked == "auto" else Plan(asked, "as asked for")
        drawn = known = 0
        size: tuple[int, ...] | None = None
        with (
            VideoWriter(Path(self.out or ""), frame_rate=source.frame_rate or 25) as video,
            progress_bar(source.name, source.count) as on_progress,
            closing(with_motion(source, plan.kind)) as frames,  # type: ignore[type-var]
        ):
            for count, (frame, motion) in enumerate(islice(frames, self.num_steps)):
                if frame.image is None:
                    raise InputError(f"{frame.error}; the frames before it are in {self.out}") from frame.error
                if size not in (None, frame.image.shape):
                    raise InputError(f"{frame.where}: is of another size than the frame before it; cut the video there")
                size = frame.image.shape
                picture = np.zeros_like(frame.image)  # black: not known
                if motion is not None:
                    flow = CELL * motion.flow.repeat(CELL, 0).repeat(CELL, 1)
                    height, width = picture.shape[:2]
                    picture = flow_to_rgb(flow[:height, :width], self.max_length or 20.0)
                video.write(beside(frame.image, picture))
                drawn, known = count + 1, known + (motion is not None)
                on_progress("flow", count + 1)
        if not drawn:
            raise InputError(f"{source.name}: has no frame; {self.out} was not written")
        tell(f"{source.name}: motion by {plan.kind}, {plan.reason}; known at {known} of {drawn} frames, else black")
        tell(f"written to {self.out}")
        return 0

    def _check_places(self, inputs: Sequence[str | os.PathLike[str]]) -> None:
        """UsageError where an output would be written over an input, or over the other output; InputError where its
        folder is not there."""
        from dvsnet_jax.media.atomic import check_folder

        taken = dict.fromkeys(map(os.path.realpath, inputs), "is an input")
        if self.truth:
            taken[os.path.realpath(self.truth)] = "is the true flow"
        for flag, path in (("--out", self.out), ("--picture", self.picture)):
            if path is None:
                continue
            if (place := os.path.realpath(path)) in taken:
                raise UsageError(f"{flag} {path}: {taken[place]}; choose another place to write to")
            check_folder(path)
            taken[place] = f"is where {flag} is written"

    def _estimator(self) -> Any:
        """A function (first, second, where) → flow, from uint8 images `[h, w, 3]`, with the weights loaded once."""
        if self.weights is None:
            raise UsageError(
                "no weights given, and no FlowNet2 weights come with the package; pass --weights PATH (NVIDIA's "
                ".pth.tar, flownet2-tf's checkpoint, or a folder made by 'dvsnet import'), or for a video --motion auto"
            )

        import jax
        import jax.numpy as jnp
        import numpy as np

        from dvsnet_jax.checkpoints import load_flow
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.flow import estimate_flow

        params, config = load_flow(self.weights, network=self.network)
        params = jax.device_put(params)

        def estimate(first: np.ndarray, second: np.ndarray, where: str) -> Float[np.ndarray, "h w 2"]:
            try:
                pair = (jnp.asarray(image[None]) for image in (first, second))
                return np.asarray(estimate_flow(params, *pair, config=config))[0]
            except ValueError as error:
                raise InputError(f"{where}: {error}") from error

        return estimate
