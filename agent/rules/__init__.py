"""The regulation as pure functions: no clock, no input or output. Rule ids (R13.1 ...) are those of the regulation reading."""
