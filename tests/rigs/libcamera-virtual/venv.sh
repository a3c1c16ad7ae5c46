#!/usr/bin/env bash
# Makes the Python environment DIR/venv-pi in which the real picamera2 runs on the libcamera that build.sh built into DIR.
# It must be the Python that build.sh used (the one named python3), for the bindings are compiled for it.
#   usage: venv.sh DIR
set -euo pipefail
dir=${1:?usage: venv.sh DIR}
python3 -m venv "$dir/venv-pi"
"$dir/venv-pi/bin/pip" install -q "picamera2>=0.3.38,<0.4" "av>=18.1,<19" "numpy>=2.2" "pytest>=9.2" "pytest-timeout>=2.4" \
  annotated-types gpiozero
echo "made: $dir/venv-pi"
