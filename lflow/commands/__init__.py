"""The commands of the command line, one module each: `declare` its flags, `run` it."""
