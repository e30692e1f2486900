"""The orchestrator: sessions, windows, KV ledger, timeline, policies, jobs."""
