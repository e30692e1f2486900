"""One replica in virtual time. Synchronous and pure: no event loop, no network, no disk."""
