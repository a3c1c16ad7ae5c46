"""Parts of the Raspberry Pi: picamera2 and GPIO."""
