"""`dvsnet evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from dvsnet_jax.cli.classes import Classes
from dvsnet_jax.cli.compile_cache import keep_compiled
from dvsnet_jax.cli.failures import UsageError
from dvsnet_jax.cli.motion import Motion, carried, found_by
from dvsnet_jax.cli.option_types import EtcWeights, Names, OptionalPath, Specs, check_etc_weights, either, option
from dvsnet_jax.cli.precision import check_precision
from dvsnet_jax.cli.screen import clip_progress, tell, tell_shifted, tell_untrusted
from dvsnet_jax.cli.settings import Settings
from dvsnet_jax.cli.weights import OwnSegmentation, load_weights

if TYPE_CHECKING:
    from dvsnet_jax.config import DVSNetConfig
    from dvsnet_jax.evaluation.clips.sources import NamedClip
    from dvsnet_jax.evaluation.evaluate import Evaluation
    from dvsnet_jax.evaluation.published_flow import EtcFlow
    from dvsnet_jax.evaluation.segmentation import Counting
    from dvsnet_jax.media.motion.attached import Kind

_DATA = (
    "cityscapes:ROOT:SPLIT[:LABELS], camvid:ROOT:SPLIT, vspw:ROOT:SPLIT, and so kitti-step, cityscapes-vps, "
    "apolloscape, bdd100k, bdd100k-videos, vistas, idd and a2d2, "
    "clips:CLIPS[:LABELS] (a folder of clips, each a folder of "
    "frames or a video; LABELS has a folder for each with label PNGs of any of its frames) or street:COUNT:SEED; "
    "@0.5 after it makes frames half as high and wide, @bt601 reads videos that name no matrix by that, as --matrix of "
    "'dvsnet segment'."
)
_WRITTEN = ("report.html", "table.md", "results.json", "clips.jsonl", "labels")


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure on labelled clips and write a report.

    mIoU, outlines, temporal consistency, share of regions segmented. Started again with the same options it does only
    what is left.
    """

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], option("DATA …", help=_DATA)] = ()
    named: Annotated[Specs, tyro.conf.arg(name="data")] = ()
    """The same as DATA …, as other commands take it; may be given again."""
    protocol: Literal["all", "vspw", "snippets"] = "all"
    """all: every frame and every label counts. vspw: the same, and the row of VSPW's tables besides, as its programs
    count: mIoU, weighted IoU, TC (with another flow than RAFT's), VC8, VC16. snippets: the paper's, frames 1 to 20 of
    each Cityscapes snippet; the first is the key frame and costs nothing, the last alone has labels."""
    only: Names = ()
    """Beginnings of clips' names; the others are left out."""
    weights: Annotated[str | None, option("PATH", "--restore-from")] = None
    """Checkpoint folder, .safetensors, or a TensorFlow checkpoint of the original; street-large, the heavier ones that
    come with the package; if not given, the lighter ones, street."""
    segmentation: OwnSegmentation = None
    classes: Classes = None
    decision_from: OptionalPath = None
    """TensorFlow checkpoint of the decision network, where --weights is one without."""
    motion: Motion = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the segmentation network, as for 'dvsnet segment'."""
    out: Annotated[str, tyro.conf.arg(metavar="DIR", aliases=("--save-dir",))] = "evaluated"
    """Folder for report.html, table.md, results.json, and clips.jsonl with a line for each clip."""
    streams: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 4
    """Clips that step together, dealt out over the devices."""
    step: Literal["auto", "together", "apart"] = "auto"
    """How they step. together: one program over all of them, on every device its part; auto on accelerators. apart: a
    program for each, as many at once as there are cores; auto on CPUs."""
    every_frame: bool = False
    """Segment every frame whole besides, to compare with: what is kept of its mIoU, and how good the decisions are."""
    no_consistency: bool = False
    """Leave out temporal consistency, which takes optical flow."""
    flownet2: EtcWeights = None
    show: Annotated[int, tyro.conf.arg(metavar="COUNT")] = 4
    """How many clips the report has a player for."""
    keep_labels: bool = False
    """Write the labels of all clips, not only of those shown."""
    distributed: bool = False
    """One of several processes, started by SLURM, a TPU pod or GKE (jax.distributed.initialize)."""
    settings: Annotated[Settings, tyro.conf.arg(name="")] = field(default_factory=Settings)

    def run(self) -> int:
        given = either(self.data, self.named)
        if not given:
            raise UsageError(f"nothing to evaluate; name {_DATA}")
        return replace(self, data=given, named=())._run()

    def _run(self) -> int:
        if self.streams < 1 or self.show < 0:
            raise UsageError(f"--streams is {self.streams} and --show {self.show}; expected 1 or more, and 0 or more")

        check_etc_weights(self.flownet2, no_consistency=self.no_consistency)

        import jax

        from dvsnet_jax.inference import processes

        keep_compiled()
        if self.distributed:
            processes.join()

        from dvsnet_jax.datasets.flow.dis import find_flow
        from dvsnet_jax.evaluation.clips.sources import check_classes, evaluated_clips
        from dvsnet_jax.evaluation.evaluate import check_policy, evaluate
        from dvsnet_jax.evaluation.published_flow import flows_for, load_etc_flow
        from dvsnet_jax.media.opencv import opencv
        from dvsnet_jax.media.written_files import make_folder
        from dvsnet_jax.networks import prepare

        folder = make_folder(self.out)
        if not self.no_consistency:
            opencv("temporal consistency (--no-consistency leaves it out)")
        params, config = load_weights(self.weights, self.decision_from, self.motion, self.segmentation, self.classes)
        motion = found_by(self.motion) or "dis"
        config = self.settings.apply(carried(self.motion, config))
        check_precision(config, self.precision)
        check_policy(config)
        check_classes(self.data, config)
        clips = evaluated_clips(self.data, protocol=self.protocol, only=self.only, num_classes=config.num_classes)
        classes = self._classes(config)
        etc_flow = load_etc_flow(self.flownet2) if self.flownet2 else None
        self._claim(folder, params, config, motion, etc_flow)
        params = prepare(params, config, precision=self.precision)
        first = jax.process_index() == 0
        with _told_how_to_go_on(), clip_progress(len(clips), shown=first) as (on_frame, on_clip):
            found = evaluate(
                params, clips, config=config, folder=folder, streams=self.streams, classes=classes,
                first_counts=self.protocol != "snippets", find_flow=None if self.no_consistency else find_flow,
                published_tc=flows_for(etc_flow, vspw=self.protocol == "vspw" and not self.no_consistency),
                every_frame=self.every_frame, stepping=self.step, motion=motion,
                keep={clip.name for clip in (clips if self.keep_labels else clips[: self.show])},
                on_frame=on_frame, on_clip=on_clip,
            )  # fmt: skip
        if first:
            self._write(folder, found, clips[: self.show], params, config, classes, motion)
        return 1 if found.failures else 0

    def _classes(self, config: DVSNetConfig) -> Counting:
        from dvsnet_jax.evaluation.reports.evaluation import counted_as

        camvid = {spec.startswith("camvid:") for spec in self.data}
        if len(camvid) > 1 and config.num_classes == 19:
            raise UsageError("CamVid is counted in its own 11 classes and the rest in 19: evaluate one after the other")
        return counted_as("camvid" if camvid == {True} else "", config.num_classes)

    def _claim(self, folder: Path, params: Any, config: DVSNetConfig, motion: Kind, etc_flow: EtcFlow | None) -> None:
        from dvsnet_jax.config_json import storable, to_json
        from dvsnet_jax.errors import InputError
        from dvsnet_jax.training.run_folder import SETTINGS, claim, fingerprint

        if not (folder / SETTINGS).exists():
            for name in _WRITTEN:
                if (folder / name).exists():
                    raise InputError(
                        f"{folder / name}: is there, but no {SETTINGS} that says which evaluation wrote it, so it is "
                        "left alone; move it away, or choose another folder with --out"
                    )
        claim(
            folder,
            {
                "data": self.data, "protocol": self.protocol, "only": self.only, "every_frame": self.every_frame,
                "consistency": not self.no_consistency, "weights": fingerprint(params),
                "precision": self.precision, "config": to_json(storable(config)),
                **({"motion": motion} if config.takes_motion else {}),
                **({"flownet2": fingerprint(etc_flow.params)} if etc_flow else {}),
            },
            option="--out",
        )  # fmt: skip

    def _write(
        self, folder: Path, found: Evaluation, shown: list[NamedClip], params: Any, config: DVSNetConfig,
        classes: Counting, motion: Kind,
    ) -> None:  # fmt: skip
        import datetime

        import jax

        from dvsnet_jax.datasets.readers.named import own_classes
        from dvsnet_jax.evaluation.clips.label_counts import truth_matrix
        from dvsnet_jax.evaluation.clips.scores import pooled
        from dvsnet_jax.evaluation.reports import evaluation as reports
        from dvsnet_jax.evaluation.reports.page import write_report
        from dvsnet_jax.markdown import markdown_table
        from dvsnet_jax.media.atomic import atomic_path, remove_partial
        from dvsnet_jax.training.run_folder import write_json

        numbers = reports.results(found, params, config)
        kinds = [spec.partition(":")[0] for spec in self.data]
        names = own_classes(kinds, config.num_classes) or reports.class_names(config, classes)
        tables = [
            *([reports.vspw_table(numbers, str(config.policy))] if self.protocol == "vspw" else []),
            reports.headline(numbers), reports.class_table(numbers, names), reports.clip_table(found),
            reports.worst_table(numbers),
        ]  # fmt: skip
        text = "\n\n".join(markdown_table(table) for table in tables if table.rows)
        facts = (
            ("Data", " ".join(self.data)), ("Protocol", self.protocol), ("Weights", self.weights or "bundled"),
            *((("Motion", motion),) if config.takes_motion else ()),
            ("Policy", str(config.policy)), ("Device", jax.devices()[0].device_kind), ("Precision", self.precision),
            ("Date", datetime.date.today().isoformat()),
        )  # fmt: skip
        page = reports.evaluation_report(
            found,
            numbers,
            shown,
            config=config,
            folder=folder,
            classes=classes,
            names=names,
            title="Evaluation",
            facts=facts,
            motion=motion if config.takes_motion else None,
        )
        remove_partial(folder)  # of a run that was killed; the other processes of this one are through
        remove_partial(folder / "labels", below=True)
        write_json(folder / "results.json", numbers)
        with atomic_path(folder / "table.md") as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        write_report(folder / "report.html", page)
        print(text)
        if found.resumed:
            tell(f"{found.resumed} of the clips were there before")
        if found.unkept:
            tell(f"labels of {found.unkept} clips were not kept by the earlier run: these were evaluated anew")
        if found.changed:
            tell(f"dvsnet: files of {found.changed} clips have changed since the earlier run: these are evaluated anew")
        tell_shifted(truth_matrix(pooled(found.records).dvsnet))
        if not numbers["labelled"]:
            tell("dvsnet: no frame has a label that counts, so there is no mIoU; labels are clips:CLIPS:LABELS")
        tell_untrusted("all clips", numbers["untrusted_frames"], numbers["frames"], "mIoU leaves void labels out")
        for name, error in found.failures.items():
            tell(f"dvsnet: {name} does not count: {error}")
        tell(f"written to {folder}: report.html, table.md, results.json, clips.jsonl")


@contextmanager
def _told_how_to_go_on() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        tell("dvsnet: interrupted; the same command does only what is left")
        raise
