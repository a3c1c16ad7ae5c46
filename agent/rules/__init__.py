"""The regulation as pure functions: no clock, no input or output. Rule ids are those of the regulation reading."""
