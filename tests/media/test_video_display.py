"""Videos are read as they are meant to be seen: upright, in their colours, of one moment, the right one of several."""

from __future__ import annotations

from contextlib import nullcontext
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
import pytest
from made_videos import TURNS, distance, encode, frames_of, mark, several
from motion_files import STEP, inner_error, moving
from PIL import Image

from dvsnet_jax.datasets.unlabelled import KeptFrames, UnlabelledClip
from dvsnet_jax.errors import InputError, InputNotice
from dvsnet_jax.media.motion.attached import with_motion
from dvsnet_jax.media.motion.inspection import inspect
from dvsnet_jax.media.reading.opened import Reading
from dvsnet_jax.media.sources import open_source
from dvsnet_jax.media.video_writer import VideoWriter

FRAMES = moving(6, 144, 208)
PLAIN = {"x264_params": "bframes=0:ref=1", "preset": "medium"}


def colourful(height: int, width: int, seed: int = 0) -> np.ndarray:
    """16 × 16 patches of one colour each: at their middles, colours stored at half size are exact."""
    patches = np.random.default_rng(seed).integers(0, 256, (height // 16, width // 16, 3), np.uint8)
    return patches.repeat(16, 0).repeat(16, 1)


def at_middles(image: np.ndarray) -> np.ndarray:
    return image[7::16, 7::16].astype(int)


@pytest.mark.parametrize("turn", TURNS)
def test_a_video_that_is_stored_turned_or_mirrored_is_read_upright(tmp_path, turn):
    stored, matrix = TURNS[turn]
    path = mark(encode(tmp_path / "a.mp4", [stored(frame) for frame in FRAMES], crf=10), matrix)
    shown = frames_of(path)
    assert max(distance(frame.image, truth) for frame, truth in zip(shown, FRAMES, strict=True)) < 4
    as_stored = frames_of(path, Reading(rotate=False))
    assert max(distance(f.image, stored(truth)) for f, truth in zip(as_stored, FRAMES, strict=True)) < 4
    clip = UnlabelledClip(str(path), kept=KeptFrames(1))  # what accelerate and the training of flow read, by seeking
    assert distance(clip[3].image, FRAMES[3]) < 4


@pytest.mark.parametrize("turn", TURNS)
def test_a_turned_files_vectors_are_turned(tmp_path, turn):
    stored, matrix = TURNS[turn]
    frames = moving(8)
    path = mark(encode(tmp_path / "a.mp4", [stored(frame) for frame in frames], **PLAIN), matrix)
    found = inspect(str(path))
    assert found.usable, found.reason
    motions = [motion for _, motion in with_motion(open_source(path), "codec")]
    assert len(motions) == 8 and max(inner_error(motion) for motion in motions[1:]) < 0.6, STEP


def test_a_slanted_mark_is_told(tmp_path):
    path = encode(tmp_path / "a.mp4", FRAMES)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    for offset, value in ((0, 0xB504), (4, 0xB504), (12, -0xB504), (16, 0xB504)):  # an eighth of a turn
        content[place + offset : place + offset + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(content)
    with pytest.warns(InputNotice, match=r"a\.mp4: is to be shown turned"):
        assert distance(frames_of(path)[0].image, FRAMES[0]) < 8


def test_the_largest_video_of_a_file_is_taken_and_told(tmp_path):
    path = several(tmp_path / "two.mp4", [FRAMES[:, ::2, ::-2], FRAMES])
    with pytest.warns(
        InputNotice, match=r"two\.mp4: has 2 video streams \(0: 104×72, 1: 208×144\); .* stream 1; --str"
    ):
        assert distance(frames_of(path)[0].image, FRAMES[0]) < 8
    assert distance(frames_of(path, Reading(stream=0))[0].image, FRAMES[0, ::2, ::-2]) < 12
    with pytest.raises(InputError, match=r"two\.mp4: has no video stream 2; it has 2 video streams"):
        frames_of(path, Reading(stream=2))


@pytest.mark.parametrize("frames", [0, 1, 2])
@pytest.mark.parametrize("container", ["mp4", "mkv", "avi"])
def test_a_larger_stream_that_does_not_last_is_no_video(tmp_path, container, frames):
    """A preview of a picture or two, or a second camera that fell out."""
    path = tmp_path / f"a.{container}"
    with av.open(str(path), "w") as file:
        streams = []
        for clip in (FRAMES, FRAMES[:, ::2, ::2]):
            stream = file.add_stream("mjpeg", rate=20)
            stream.height, stream.width, stream.pix_fmt = *clip[0].shape[:2], "yuvj420p"
            streams.append((stream, clip[: frames if clip is FRAMES else None]))
        for number in range(len(FRAMES)):
            for stream, clip in streams:
                if number < len(clip):
                    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(clip[number]), format="rgb24")
                    file.mux(stream.encode(picture))
        for stream, _ in streams:
            file.mux(stream.encode())
    # FFmpeg leaves a stream without any frame out of an MP4's index.
    told = pytest.warns(InputNotice, match="the largest of those that last is taken, stream 1")
    with told if frames or container != "mp4" else nullcontext():
        assert [frame.image.shape for frame in frames_of(path)] == [(72, 104, 3)] * len(FRAMES)


def test_a_cover_is_no_video(tmp_path):
    """Larger than the video, and before it."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = 288, 416, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = 144, 208, "yuv420p"
        container.mux(cover.encode(av.VideoFrame.from_ndarray(colourful(288, 416), format="rgb24")))
        container.mux(cover.encode())
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    frames = frames_of(tmp_path / "a.mp4")
    assert len(frames) == 6 and distance(frames[0].image, FRAMES[0]) < 8


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv444p", "yuv420p10le"])
@pytest.mark.parametrize(
    ("height", "matrix", "full", "said"),
    [
        (720, 1, False, False),
        (704, 5, False, False),
        (720, 5, False, True),
        (704, 1, False, True),
        (704, 1, True, True),
        (704, 9, True, True),
    ],
)
def test_the_colours_are_the_files(tmp_path, pix_fmt, height, matrix, full, said):
    picture = colourful(height, 64)

    def coded(frame):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format=pix_fmt, dst_colorspace=matrix, dst_color_range=2 if full else 1
        )
        frame.colorspace, frame.color_range = (matrix, 2 if full else 1) if said else (2, 0)
        return frame

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "qp": "1"})
        stream.height, stream.width, stream.pix_fmt = height, 64, pix_fmt
        if said:
            stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1
        container.mux(stream.encode(coded(None)))
        container.mux(stream.encode())
    with nullcontext() if said or height < 720 else pytest.warns(InputNotice, match="names no matrix"):
        [frame] = frames_of(path)
    assert np.abs(at_middles(frame.image) - at_middles(picture)).max() <= 5


@pytest.mark.parametrize(("pix_fmt", "unit"), [("gray", 1), ("gray10le", 4)])
@pytest.mark.parametrize("full", [False, True])
def test_greys_of_hevc_have_their_black_and_white(tmp_path, pix_fmt, unit, full):
    """FFmpeg takes greys for 0..255, whatever the file says; of H.264 it makes yuv420p first, and does not."""
    shown = np.linspace(0, 255, 96)
    stored = unit * (shown if full else 16 + shown * 219 / 255)
    pixels = np.tile(stored.round().astype(np.uint8 if unit == 1 else np.uint16), (96, 1))
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=20, options={"x265-params": "log-level=0", "crf": "1"})
        stream.height, stream.width, stream.pix_fmt = 96, 96, pix_fmt
        stream.codec_context.color_range = 2 if full else 1
        for number in range(2):
            frame = av.VideoFrame.from_ndarray(pixels, format=pix_fmt)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with nullcontext() if full else pytest.warns(InputNotice, match="grey with black at 16 and white at 235"):
        frame, _ = frames_of(path)
    assert frame.image.dtype == np.uint8 and np.abs(frame.image - shown[:, None]).max() <= 3


def test_a_video_made_of_pictures_is_read_by_the_matrix_it_was_made_by(tmp_path):
    """PyAV, OpenCV, imageio and FFmpeg take BT.601 for it, and do not say so."""
    picture = colourful(720, 64)
    path = encode(tmp_path / "a.mp4", [picture], qp=1)
    [frame] = frames_of(path, Reading(matrix="bt601"))
    assert np.abs(at_middles(frame.image) - at_middles(picture)).max() <= 5
    with pytest.warns(
        InputNotice, match=r"a\.mp4: names no matrix for its colours; BT\.709 is.*--matrix bt601.*@bt601"
    ):
        [as_players_show_it] = frames_of(path)
    assert 20 < np.abs(at_middles(as_players_show_it.image) - at_middles(picture)).max() < 50
    small = encode(tmp_path / "small.mp4", [picture[:192]], qp=1)
    other, own = (frames_of(small, Reading(matrix=matrix))[0].image for matrix in ("bt709", None))
    assert (
        np.abs(at_middles(own) - at_middles(picture[:192])).max()
        <= 5
        < np.abs(at_middles(other) - at_middles(own)).max()
    )
    with VideoWriter(tmp_path / "marked.mp4", frame_rate=20) as video:
        video.write(picture)
    marked, asked = (frames_of(tmp_path / "marked.mp4", Reading(matrix=matrix)) for matrix in (None, "bt601"))
    np.testing.assert_array_equal(marked[0].image, asked[0].image)  # what a file says counts
    grey = encode(tmp_path / "grey.mkv", [picture[..., :1].repeat(3, 2)], "ffv1", pix_fmt="gray")
    frames_of(grey)  # has no colours to be told of


def hdr(picture: np.ndarray, transfer: int) -> np.ndarray:
    """An sRGB picture as HDR codes it, BT.2020, its white at 203 nits: uint16 [h, w, 3]."""
    value = picture / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    light = light @ np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]).T
    if transfer == 16:
        root = (light * 203 / 10000) ** (1305 / 8192)
        coded = ((0.8359375 + 18.8515625 * root) / (1 + 18.6875 * root)) ** (2523 / 32)
    else:
        scene = (light * 0.203) ** (1 / 1.2)
        coded = np.where(
            scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(12 * scene - 0.28466892 + 1e-9) + 0.55991073
        )
    return np.round(65535 * coded).astype(np.uint16)


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_looks_like_sdr_and_is_told(tmp_path, transfer, name):
    picture = colourful(64, 96) // 5 * 4  # below the knee, where nothing is pressed together
    coded = av.VideoFrame.from_ndarray(hdr(picture, transfer), format="rgb48le")
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "qp": "1"})
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv444p10le"
        codec = stream.codec_context
        codec.colorspace = codec.color_primaries = 9
        codec.color_trc, codec.color_range = transfer, 1
        container.mux(stream.encode(coded.reformat(format="yuv444p10le", dst_colorspace=9, dst_color_range=1)))
        container.mux(stream.encode())
    with pytest.warns(InputNotice, match=rf"a\.mp4: is HDR video \({name}\)"):
        [frame] = frames_of(tmp_path / "a.mp4")
    assert np.abs(at_middles(frame.image) - at_middles(picture)).mean() < 4


def fields(frames: np.ndarray, first: int) -> list[np.ndarray]:
    """Interlaced frames of progressive ones, two each: the rows from `first` (0, 1) on are taken first."""
    woven = frames[::2].copy()
    woven[:, 1 - first :: 2] = frames[1::2, 1 - first :: 2]
    return list(woven)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_interlaced_frames_are_of_one_moment(tmp_path, first, count):
    """Whatever the order of fields is that the encoder marks: it marks the same for both here."""
    frames = moving(2 * count, 144, 208)
    path = encode(
        tmp_path / "a.mpg", fields(frames, first), "mpeg2video", rate=25, flags="+ilme+ildct", b=8_000_000, qscale=2
    )
    with pytest.warns(InputNotice, match=r"a\.mpg: is interlaced"):
        shown = frames_of(path)
    assert len(shown) == count
    if count > 1:
        for frame, truth, later, woven in zip(shown, frames[::2], frames[1::2], fields(frames, first), strict=True):
            assert distance(frame.image, truth) < 0.5 * min(distance(frame.image, later), distance(woven, truth))
    assert np.diff([frame.time for frame in shown]) == pytest.approx(1 / 25)


@pytest.mark.filterwarnings("ignore:.*is interlaced")
def test_an_interlaced_video_is_the_same_by_seeking(tmp_path):
    path = encode(
        tmp_path / "a.mpg", fields(moving(48), 0), "mpeg2video", rate=25, flags="+ilme+ildct", b=8_000_000, g=6
    )
    whole = frames_of(path)
    clip = UnlabelledClip(str(path), kept=KeptFrames(1))
    for number in (23, 12, 13, 0, 6):
        np.testing.assert_array_equal(clip[number].image, whole[number].image)


def test_pixels_that_are_not_square_are_told(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = 144, 208, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        for frame in FRAMES:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    with pytest.warns(
        InputNotice, match=r"a\.mp4: has pixels that are not square, but 16:11; .*scale=302:144,setsar=1"
    ):
        assert len(frames_of(tmp_path / "a.mp4")) == 6


def test_motion_jpeg_with_exif_is_read_upright(tmp_path):
    """As phones send it: PyAV does not list what comes with such frames."""
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    pictures = []
    for frame in FRAMES:
        file = BytesIO()
        Image.fromarray(np.ascontiguousarray(np.rot90(frame, 1))).save(file, "JPEG", exif=exif, quality=95)
        pictures.append(file.getvalue())
    path = tmp_path / "a.mjpeg"
    path.write_bytes(b"".join(pictures))
    shown = frames_of(path)
    assert max(distance(frame.image, truth) for frame, truth in zip(shown, FRAMES, strict=True)) < 8


def test_pixels_that_are_not_square_of_a_turned_video(tmp_path):
    """FFmpeg turns before it scales, so the command that is told is another one."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.height, stream.width, stream.pix_fmt = 208, 144, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        for frame in FRAMES:
            stored = np.ascontiguousarray(np.rot90(frame, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(stored, format="rgb24")))
        container.mux(stream.encode())
    mark(tmp_path / "a.mp4", TURNS["left"][1])
    with pytest.warns(InputNotice, match=r"stored, 144×208, which .*scale=208:210,setsar=1"):
        assert frames_of(tmp_path / "a.mp4")[0].image.shape == (144, 208, 3)


def test_floating_point_pixels_are_told(tmp_path):
    encoder = av.CodecContext.create("exr", "w")
    encoder.height, encoder.width = FRAMES[0].shape[:2]
    encoder.pix_fmt, encoder.time_base = "gbrpf32le", Fraction(1)
    linear = np.asarray((FRAMES[0] / 255) ** 2.2, np.float32)
    (packet,) = encoder.encode(av.VideoFrame.from_ndarray(linear, format="gbrpf32le"))
    (tmp_path / "a.exr").write_bytes(bytes(packet))
    with pytest.warns(InputNotice, match=r"a\.exr: has floating-point pixels, .* too dark"):
        assert len(frames_of(tmp_path / "a.exr")) == 1
