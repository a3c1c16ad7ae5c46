"""Parts that any Linux has: V4L2 webcam, PortAudio sound, clocks, power supply, volumes."""
