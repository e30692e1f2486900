"""Where KV lies and what is booked: the ledger, scratch views of it, prefixes, GPU memory, KV in flight."""
