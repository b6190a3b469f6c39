"""What is shown of a stream's address, and what its folder is called: never its password."""

from __future__ import annotations

import pytest

from dvsnet_jax.media.reading.addresses import name_of, without_password


@pytest.mark.parametrize(
    ("address", "shown", "name"),
    [
        ("rtsp://admin:hush@cam:554/live/ch0", "rtsp://admin:…@cam:554/live/ch0", "ch0"),
        ("rtsp://admin:hush@192.168.1.10:8554", "rtsp://admin:…@192.168.1.10:8554", "192.168.1.10_8554"),
        ("rtsp://:hush@cam/live.sdp", "rtsp://:…@cam/live.sdp", "live"),
        ("rtsp://admin:hush@[::1]:554/s", "rtsp://admin:…@[::1]:554/s", "s"),
        ("http://cam/v.cgi?usr=a&pwd=hush&x=1", "http://cam/v.cgi?usr=a&pwd=…&x=1", "v"),
        (
            "rtsp://cam/user=admin_password=hush_channel=1.sdp",
            "rtsp://cam/user=admin_password=…_channel=1.sdp",
            "user_admin_password___channel_1",
        ),
        (
            "rtsp://cam/user=admin&password=hush_hush&channel=1",
            "rtsp://cam/user=admin&password=…&channel=1",
            "user_admin_password___channel_1",
        ),
        # Signs that FFmpeg wants as %40, %2F and %3F, and people write as they are.
        ("rtsp://admin:hu@hush@cam/x", "rtsp://admin:…@cam/x", "x"),
        ("rtsp://admin:hu/hush@cam/x", "rtsp://admin:…@cam/x", "x"),
        ("rtsp://admin:1/hush@cam/x", "rtsp://admin:…@cam/x", "x"),
        ("rtsp://admin:hu?#hush@cam/x", "rtsp://admin:…@cam/x", "x"),
    ],
)
def test_a_password_is_not_shown(address, shown, name):
    assert (without_password(address), name_of(address)) == (shown, name)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://192.168.1.10", "192.168.1.10"),
        ("rtsp://admin@cam/yard", "yard"),
        ("rtsp://cam:554/cam/realmonitor?channel=1&mail=a@b", "realmonitor"),
        ("http://cam/video.mjpg?monkey=3", "video"),
        ("rtsp://[::1]:554/", "1__554"),
        ("/dev/video0", "video0"),
        ("avfoundation:0", "avfoundation_0"),
        ("12:30@home.mp4", "12_30_home"),
    ],
)
def test_an_address_without_one_stays_as_it_is(address, name):
    assert (without_password(address), name_of(address)) == (address, name)
