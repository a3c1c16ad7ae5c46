#!/bin/sh
# Real parts, brokers and oracles that the tests use where they are there. With root they are installed; without,
# the lanes that need them are skipped, and the test run prints each one and why.
set -eu
packages="mosquitto age ffmpeg jq openssl espeak-ng sox libportaudio2 pulseaudio libasound2-plugins alsa-utils systemd strace gpsd"
# A fixed camera for the tests: GStreamer's RTSP server, driven from the system's Python.
packages="$packages gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good gstreamer1.0-plugins-bad"
# Any Node from 18 on runs the second verifier; one that is there already is not replaced.
command -v node >/dev/null || packages="$packages nodejs"
# What the offload is measured against. A machine that would start a server by itself is not given one.
packages="$packages rsync openssh-client"
[ -d /run/systemd/system ] && [ -z "${CI:-}" ] || packages="$packages openssh-server"
missing=""
for package in $packages; do
  dpkg -s "$package" >/dev/null 2>&1 || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  apt-get update -q >/dev/null
  # shellcheck disable=SC2086  # one word per package is meant
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
else
  echo "未安装（相应测试会跳过并说明） not installed, lanes that need them will be skipped and say so:$missing"
fi
