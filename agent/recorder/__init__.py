"""The wearable: gestures become events, a pure state machine decides, and the shell around it acts."""
