#!/bin/sh
# Makes the virtual environment. Debian splits venv from Python; with root it is installed, otherwise we say how.
set -eu
python=$1 venv=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "需要 Python 3.11 或更高版本 Python 3.11 or later is needed; found $("$python" --version 2>&1)" >&2; exit 1; }
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -q && apt-get install -y -q --no-install-recommends python3-venv
  else
    echo "缺少 python3-venv，请先安装 python3-venv is missing: apt-get install python3-venv" >&2; exit 1
  fi
fi
"$python" -m venv "$venv"
