"""The owner's offline tools: the fleet's root key, and who it vouches for.

They run wherever the owner keeps the root key, never in the gateway's service. What they make for
the gateway is the *public bundle*, which may be given away: ``root.pub``, ``roster`` and ``keys/``.
"""
