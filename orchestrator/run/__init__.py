"""One job against its devices: sessions, the loop over windows, audits, the report."""
