"""Device kind `cpu-attention`: decode attention by the host's cores, in its own memory."""
