"""A fixed camera: GStreamer's RTSP server, encoding in real time. Runs under the system's Python (``gi`` is Debian's).

    rtsp-server.py PORT WIDTHxHEIGHT [USER PASSWORD]

serves rtsp://127.0.0.1:PORT/camera: a moving picture at 25 a second in H.264, a keyframe a second, and a tone in G.711,
as most fixed cameras send it. Prints "ready" once it listens.
"""

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

PIPELINE = (
    "( videotestsrc is-live=true pattern=ball ! video/x-raw,width={},height={},framerate=25/1"
    " ! openh264enc gop-size=25 complexity=low ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1"
    " audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8 )"
)


def main() -> None:
    """Serves until it is killed."""
    port, size, *login = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(PIPELINE.format(*size.split("x")))
    factory.set_shared(True)
    if login:
        _ask_for(login, server, factory)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        raise SystemExit(f"port {port} cannot be had")
    print("ready", flush=True)
    GLib.MainLoop().run()


def _ask_for(login: list, server: object, factory: object) -> None:
    auth, token = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(*login), token)
    may = "viewer, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
    factory.add_role_from_structure(Gst.Structure.new_from_string(may))
    server.set_auth(auth)


if __name__ == "__main__":
    main()
