#!/usr/bin/env bash
# Speaks the notice and the prompts into the WAV files of this folder, and makes the tone. Needs espeak-ng, sox, and the package on PYTHONPATH.
#   usage: make-sounds.sh
# The texts stand in agent/hardware/prompts.py alone. The notice is 48 kHz (it is compared with what the microphone heard),
# the prompts 16 kHz (speech needs no more); all mono, 16 bit. Compressed, because a small loudspeaker in a street needs the loudness;
# the peak is 3 dB below full scale, so that no resampler clips it.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m agent.hardware.prompts | while IFS=$'\t' read -r file rate text; do
  espeak-ng -v cmn -s 230 -w "$work/said.wav" -- "$text" </dev/null
  # -R -D: the same bytes every time; no dither. The silence at both ends goes: the officer waits for these sounds.
  sox -R -D "$work/said.wav" -b 16 -c 1 -r "$rate" "$file" silence 1 0.05 0.3% reverse silence 1 0.05 0.3% reverse \
    gain -n -1 compand 0.005,0.12 6:-60,-60,-40,-22,-20,-14,0,-9 0 -20 0.005 norm -3 </dev/null
  echo "$file"
done
# The tone of a running recording: 0.15 s at 880 Hz, soft, with its ends faded so that it does not click.
sox -R -D -n -b 16 -c 1 -r 16000 tone.wav synth 0.15 sine 880 fade h 0.02 0.15 0.04 norm -12 </dev/null
echo tone.wav
