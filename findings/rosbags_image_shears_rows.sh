#!/usr/bin/env bash
# rosbags-image, which makes arrays of the pictures in a ROS bag, takes rows as following one another: it never looks at a message's `step`.
# Drivers that begin rows at aligned addresses give rows longer than their pixels, and each row of such a picture is shifted further than
# the one above; nothing is said. A compressed PNG of 16 bits (depths in millimetres, ids of instances) is cut to its high bytes: 500 and
# 300 are both 1. Rows without padding, big-endian ones too, and PNGs of 8 bits are right. Seen with rosbags-image 0.10.4, rosbags 0.11.9.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check rosbags==0.11.9 rosbags-image==0.10.4 opencv-python-headless==5.0.0.93 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.image import message_to_cvimage
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

print(*(f"{name} {version(name)}" for name in ("rosbags-image", "rosbags", "opencv-python-headless")))
store = get_typestore(Stores.ROS2_HUMBLE)
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
header = store.types["std_msgs/msg/Header"](stamp=store.types["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id="camera")

# Labels 90 pixels wide: road, a building at the right, a pole. Ids of instances as Cityscapes has them, 1000 times the class and a number.
labels = np.zeros((60, 90), np.uint8)
labels[:, 45:] = 2
labels[10:50, 30:34] = 5
ids = labels.astype(np.uint16) * 1000
depths = np.where(labels == 5, 300, 500).astype(np.uint16)


def raw(pixels, encoding, step, order="<"):
    """A message whose rows are `step` bytes long."""
    rows = np.zeros((len(pixels), step), np.uint8)
    there = np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder(order))).view(np.uint8).reshape(len(pixels), -1)
    rows[:, : there.shape[1]] = there
    height, width = pixels.shape[:2]
    kind = store.types[IMAGE]
    return IMAGE, kind(header=header, height=height, width=width, encoding=encoding, is_bigendian=int(order == ">"), step=step, data=rows.ravel())


def compressed(pixels, encoding):
    return COMPRESSED, store.types[COMPRESSED](header=header, format=f"{encoding}; png compressed", data=cv2.imencode(".png", pixels)[1].ravel())


colour = np.dstack([labels * 40] * 3)
messages = {
    "mono8, step 90": (labels, *raw(labels, "mono8", 90)),
    "mono8, step 96": (labels, *raw(labels, "mono8", 96)),
    "bgr8, step 270": (colour, *raw(colour, "bgr8", 270)),
    "bgr8, step 288": (colour, *raw(colour, "bgr8", 288)),
    "mono16, step 180, big-endian": (ids, *raw(ids, "mono16", 180, ">")),
    "PNG of 8 bits": (labels, *compressed(labels, "mono8")),
    "PNG of 16 bits, ids": (ids, *compressed(ids, "mono16")),
    "PNG of 16 bits, depths": (depths, *compressed(depths, "16UC1")),
}
with Writer(Path("bag"), version=9) as bag:
    for time, (_, kind, message) in enumerate(messages.values()):
        topic = bag.add_connection(f"/camera/n{time}", kind, typestore=store)
        bag.write(topic, time, store.serialize_cdr(message, kind))

with AnyReader([Path("bag")], default_typestore=store) as bag:
    read = [message_to_cvimage(bag.deserialize(data, topic.msgtype)) for topic, _, data in bag.messages()]
right = {}
for (name, (pixels, _, _)), picture in zip(messages.items(), read, strict=True):
    assert picture.shape == pixels.shape
    right[name] = float((picture == pixels).mean())
    print(f"{name}: {picture.dtype} {picture.shape}, {right[name]:.1%} of pixels are right, values {np.unique(picture)[:5].tolist()}")
padded, cut = ("mono8, step 96", "bgr8, step 288"), ("PNG of 16 bits, ids", "PNG of 16 bits, depths")
assert all(right[name] < 0.6 for name in padded)
assert all(right[name] == 1 for name in right.keys() - {*padded, *cut})
for name in cut:
    place = list(messages).index(name)
    assert read[place].dtype == np.uint8 and (read[place] == messages[name][0] >> 8).all()
assert np.unique(read[-1]).tolist() == [1]
PYTHON
