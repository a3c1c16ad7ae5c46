#!/usr/bin/env bash
# Speaks the notice and the prompts into the WAV files of this folder. Needs espeak-ng, sox, and the package on PYTHONPATH.
#   usage: make-sounds.sh
# The texts stand in agent/hardware/prompts.py alone. The notice is 48 kHz (it is compared with what the microphone heard),
# the prompts 16 kHz (speech needs no more); all mono, 16 bit, peak 6 dB below full scale: loud, but never clipped by a resampler.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m agent.hardware.prompts | while IFS=$'\t' read -r file rate text; do
  espeak-ng -v cmn -s 175 -w "$work/said.wav" -- "$text" </dev/null
  # -R -D: the same bytes every time; no dither.
  sox -R -D "$work/said.wav" -b 16 -c 1 -r "$rate" "$file" norm -6 </dev/null
  echo "$file"
done
