"""An RTSP camera by GStreamer, run by the system's Python, which has it; `situations.py` starts it and gives it orders.

Shows the frames of a JSON file (`fps`, and for each its place, whether it is a key frame, its H.264 in hexadecimal)
over and over, in real time. Lines from stdin: `stall SECONDS`. Tells "listening", and with the first frame pushed the
clock's time.
"""

import argparse
import json
import re
import sys
import threading
import time
from pathlib import Path

import gi

for name in ("Gst", "GstRtsp", "GstRtspServer"):
    gi.require_version(name, "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

Gst.init(None)
words = argparse.ArgumentParser()
words.add_argument("shown")
words.add_argument("port")
words.add_argument("--transport", choices=["both", "udp", "tcp"], default="both")
words.add_argument("--password")
words.add_argument("--audio", action="store_true", help="a sound track before the pictures")
words.add_argument("--late-sets", action="store_true", help="no parameter sets before the second key frame")
words.add_argument("--start", type=int, default=0, help="the first frame to be shown")
words.add_argument("--offset", type=int, help="RTP's time of the first frame")
words.add_argument("--frames", type=int, help="say farewell after so many")
given = words.parse_args()
content = json.loads(Path(given.shown).read_text())
fps, frames = content["fps"], [(when, key, bytes.fromhex(stream)) for when, key, stream in content["frames"]]
silent_until = 0.0


def bare(stream: bytes) -> bytes:
    """Without parameter sets and remarks."""
    units = [unit for unit in re.split(rb"\x00\x00\x00?\x01", stream) if unit]
    return b"".join(b"\0\0\0\1" + unit for unit in units if unit[0] & 31 not in (6, 7, 8))


def show(source, ended: threading.Event) -> None:
    begun, keys, sent = time.monotonic(), 0, 0
    while not ended.is_set():
        time.sleep(max(0.0, begun + sent / fps - time.monotonic()))
        turn, place = divmod(given.start + sent, len(frames))
        when, key, stream = frames[place]
        keys += key
        sent += 1
        if time.monotonic() < silent_until:
            continue
        buffer = Gst.Buffer.new_wrapped(bare(stream) if given.late_sets and keys < 2 else stream)
        buffer.pts = max(0, when + turn * len(frames) - given.start) * Gst.SECOND // fps
        if not key:
            buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
        if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
            return
        if sent == 1:
            print("first", time.time(), flush=True)
        if sent == given.frames:
            source.emit("end-of-stream")
            return


class Factory(GstRtspServer.RTSPMediaFactory):
    def do_create_element(self, url):
        offset = "" if given.offset is None else f"timestamp-offset={given.offset}"
        video = (
            f"appsrc name=source is-live=true format=time caps=video/x-h264,stream-format=byte-stream,alignment=au,"
            f"framerate={fps}/1 ! rtph264pay name=pay{int(given.audio)} pt=96 config-interval=0 mtu=1200 {offset}"
        )
        sound = "audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay0 pt=0"
        return Gst.parse_launch(f"( {sound if given.audio else ''} {video} )")

    def do_configure(self, media):
        GstRtspServer.RTSPMediaFactory.do_configure(self, media)
        source, ended = media.get_element().get_by_name("source"), threading.Event()
        thread = threading.Thread(target=show, args=(source, ended), daemon=True)
        source.connect("need-data", lambda *_: thread.ident or thread.start())
        media.connect("unprepared", lambda *_: ended.set())


def orders() -> None:
    global silent_until
    for line in sys.stdin:
        silent_until = time.monotonic() + float(line.split()[1])


server, factory, lower = GstRtspServer.RTSPServer.new(), Factory(), GstRtsp.RTSPLowerTrans
server.set_address("127.0.0.1")
server.set_service(given.port)
factory.set_shared(True)
factory.set_protocols({"both": lower.UDP | lower.TCP, "udp": lower.UDP, "tcp": lower.TCP}[given.transport])
if given.password:
    auth, token, rights = GstRtspServer.RTSPAuth.new(), GstRtspServer.RTSPToken(), GstRtspServer.RTSPPermissions.new()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, "user")
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest("admin", given.password, token)
    server.set_auth(auth)
    for right in ("access", "construct"):
        rights.add_permission_for_role("user", f"media.factory.{right}", True)
    factory.set_permissions(rights)
server.get_mount_points().add_factory("/cam", factory)
if not server.attach(None):
    sys.exit(f"port {given.port} is taken")
print("listening", flush=True)
threading.Thread(target=orders, daemon=True).start()
GLib.MainLoop().run()
