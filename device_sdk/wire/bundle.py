"""The names of what is in an owner's public bundle (PROTOCOL 8.3, 12.1)."""

ROOT, ROSTER, KEYS, EXCUSES = "root.pub", "roster", "keys", "excuses"
"""The first root (PEM); head and pages; a directory of key lists, one of excuses."""
CA, CRL, CERTIFICATES, ACL = "ca.pem", "crl.pem", "certs", "acl"
"""For brokers: authorities, what they revoke, a directory of members' chains, access rules."""
