"""The limits of version 1, each with its reason (PROTOCOL 11). Sizes in bytes, times in seconds."""

KIB = 1024
DAY = 24 * 3600

MAX_PAYLOAD = 256 * KIB
"""The application's data in one message; larger things belong in a file store."""

MAX_READERS = 1000
"""Readers of one message: a thousand RSA wraps take 50 ms and half a megabyte."""

MAX_READER_ENTRY = 704
"""One encoded Reader, by its fields' limits: a 64-byte id, an RSA-4096 wrap, some room."""

MAX_COPY_READER_ENTRY = 1056
"""The same with an inclusion path of ten hashes, which is what 1,000 readers need."""

MAX_TREE_HEAD = 704
"""A signed tree head of a gateway whose identity is RSA-4096; with ES256 it takes about 220."""

MAX_COMMITTED = 112
"""A header's field about a reading: its policy with the longest unit and numbers, and a point."""

MAX_HEADER = 640 + MAX_TREE_HEAD + 16 + MAX_COMMITTED
"""The encoded protected header, with every text at its longest, a tree head and a reading."""

MAX_SIGNATURE = 512
"""PS256 by an RSA-4096 identity; ES256 needs 64."""

MAX_COUNTERSIGNATURE = 640
"""The encoded countersignature: its protected bytes and MAX_SIGNATURE."""

MIN_PADDED = 256
"""The least plaintext length: below it, on and off would differ in size."""

MAX_CIPHERTEXT = 270_336 + 16
"""Padme of the longest payload and its length prefix, and the GCM tag."""

MAX_PROOF = 128 * 32 + 64
"""A range proof of 32 bits (PROTOCOL 17.3). It goes no further than the gateway."""

MAX_COPY = MAX_HEADER + MAX_COUNTERSIGNATURE + MAX_CIPHERTEXT + MAX_COPY_READER_ENTRY + 64
MAX_ENVELOPE = MAX_COPY + MAX_PROOF + 16 + MAX_READERS * MAX_READER_ENTRY
"""What a broker and a gateway must let pass as one MQTT payload (about 1 MB)."""

MAX_STATEMENT = 8 * KIB
"""Any COSE_Sign1 that lists nothing, such as a read ack or a key statement."""

MAX_BATCH = 256 * KIB
"""Any COSE_Sign1 that lists things: notice, query, seen, excuse."""

MAX_TOTALS = 12 * KIB * KIB
"""Requests for totals, and what trustees report about them (PROTOCOL 18). They go as files: the
longest report, with MAX_TOTALS_ITEMS splits by RSA-4096 keys among eight trustees, takes 9 MB."""
MAX_TOTALS_ITEMS = 5000
"""Readings of one total: a month of quarters of an hour has 2,976."""
TOTALS_KEPT = 90 * DAY
"""How long readings can be totalled: a month's bill, and two to ask for it. What blinds them is
erased soon after, so that nobody can open them later."""

MAX_ROSTER_PAGE = 256 * KIB
MAX_ROSTER_PAGES = 200
MAX_SUCCESSIONS = 16
"""Root rotations that one roster head can carry."""

MAX_KEY_STATEMENTS = 64
"""Unexpired reader-key statements of one device: three in normal use, more after restores."""

MAX_GRANTS = 8
"""Owners beside the root: people, not machines."""

MAX_EXCUSES = 1000
"""Excuses in an owner's bundle: single cases, which a gateway looks at again and again."""

MAX_LOG_SIZE = 2**32 - 1
"""Entries of a gateway's log: 5,000 devices that renew their keys each month need 70,000 years."""

MAX_LOG_PATH = 33
"""Hashes of one proof about a log of so many entries (RFC 9162 2.1.4.1)."""

MAX_TOKENS = 1000
"""Anonymous messages of one device in one period: their elements go into one request."""
TOKEN_PERIODS = range(3600, 30 * DAY + 1)
"""Seconds of a period: a shorter one has too few members in it to hide among."""
MAX_TOKEN_KEYS = 1000
"""Keys that a gateway shows: this period's and the next one's of 500 channels."""
ANONYMOUS_STEP = 15 * 60
"""What the times of an anonymous message are multiples of: to the second they would tell whose
clock it was."""

MAX_CERTIFICATE = 4 * KIB
"""One X.509 certificate in DER: with an RSA-4096 key and our few extensions it has about 1,200."""
MAX_CERTIFICATES = 3
"""A member's own, that of a granted owner, and the root's."""

MAX_ID = 64
"""Characters of a device id or channel name: they are topic levels and certificate names."""

MAX_CONTENT_TYPE = 128
MAX_REASON = 64

MAX_LIFETIME = 30 * DAY
"""A reader key must outlive what is sealed to it: at least 60 of its 90 days are left."""

DEFAULT_LIFETIME = 7 * DAY
READER_KEY_VALIDITY = 90 * DAY
READER_KEY_RENEWAL = 30 * DAY
READING_KEY_PERIOD = 30 * DAY
"""A device blinds the readings of so long with one key."""
READING_KEY_KEPT = 90 * DAY
"""After its period: as long, a device can answer for a total."""
ROSTER_WARNING = 14 * DAY
"""How long before a roster expires everybody begins to say so: owners go on holidays."""
CLOCK_SKEW = 5 * 60
"""Tolerated difference between two clocks where a time is checked against ours."""

MESSAGE_ID_SIZE = 16
KID_SIZE = 16
HASH_SIZE = 32
CEK_SIZE = 32
IV_SIZE = 12
TAG_SIZE = 16
POINT_SIZE = 32
"""An encoded element or scalar of ristretto255 (RFC 9496)."""
