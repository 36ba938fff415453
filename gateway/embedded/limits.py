"""What one client can cost the others, bounded. Sizes in bytes, times in seconds."""

# Twice the largest envelope: 256 KiB of payload for 1,000 readers is just under 1 MiB.
MAX_PACKET_BYTES = 2 * 1024 * 1024

# Any other packet: the largest in use is a SUBSCRIBE to the keys of 1,000 readers, 85 KiB.
MAX_CONTROL_BYTES = 96 * 1024

# A stranger's first packet: client id, last will, user name and token.
MAX_CONNECT_BYTES = 16 * 1024

# From the accepted connection to a complete CONNECT.
CONNECT_SECONDS = 10.0

# MQTT 3.1.1, 3.1.2.10: a client is gone after one and a half times its keep alive.
KEEP_ALIVE_GRACE = 1.5

# Below the usual limit of 1,024 open files, with room for the ledger and the log.
MAX_CONNECTIONS = 900
# Of these, how many may not have said who they are yet: one more, and the longest silent must go.
MAX_STRANGERS = 100

# Filters of one session: the keys of 1,000 readers, some roster pages, and generous room.
MAX_FILTERS = 4096
# Characters of one filter; the longest that matches anything of ours is a quarter of that.
MAX_FILTER_CHARS = 1024

# QoS 1 messages sent to a client and not yet PUBACKed. A gateway PUBACKs only after its ledger has
# committed, in batches of up to 256 messages, so several batches must fit.
MAX_IN_FLIGHT = 1024

# What may wait for a connected client that reads too slowly; it is thrown out when this is passed.
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_WAITING = 100_000
# What may wait for an absent client with a persistent session; the session ends when it is passed.
MAX_ABSENT_BYTES = 16 * 1024 * 1024
MAX_ABSENT = 10_000
# How long an absent client's session is kept.
ABSENT_SECONDS = 3600.0

# Retained messages that may still be on their way to a client when it asks for more of them.
MAX_REPLAYING = 100_000

# A gateway is never thrown out for being slow: those who publish to it wait. Devices are read
# again when what waits for the gateway has fallen to a quarter.
GATEWAY_FULL_BYTES = 8 * 1024 * 1024
GATEWAY_FULL = 8192

# One turn of the event loop: packets read from, and bytes written to, one connection.
PACKETS_A_TURN = 64
BYTES_A_TURN = 64 * 1024

# How long stop() waits for clients to take their last bytes.
STOP_SECONDS = 1.0

# Clients that hold a ticket, or say so: they prove nothing, and stay for moments.
MAX_JOINERS = 32
# Devices that do not say which they are, each for the moment that one message takes.
MAX_ANONYMOUS = 64
