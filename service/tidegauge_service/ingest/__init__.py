"""From a source to committed counts: sources, codec, sampling, worker."""
