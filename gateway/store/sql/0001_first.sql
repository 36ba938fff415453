-- The first schema. Numbers are Unix seconds and bytes; states are the words of gateway/lifecycle.py.
-- What must be erased soon stands in tables of its own (bodies, wraps), so that erasing is deleting.

CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger_id BLOB NOT NULL,
    tombstone_key BLOB NOT NULL,
    high_water INTEGER NOT NULL DEFAULT 0,
    next_counter INTEGER NOT NULL DEFAULT 1,
    swept_roster INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE roster (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    head BLOB NOT NULL
);

CREATE TABLE roster_pages (
    position INTEGER PRIMARY KEY,
    page BLOB NOT NULL
);

-- Outlives the statements themselves: a lower serial is refused for good.
CREATE TABLE key_serials (
    device TEXT PRIMARY KEY,
    serial INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE key_statements (
    device TEXT NOT NULL,
    kid BLOB NOT NULL,
    serial INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    statement BLOB NOT NULL,
    PRIMARY KEY (device, kid),
    UNIQUE (device, serial)
);

CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    sender TEXT NOT NULL,
    message_id BLOB NOT NULL,
    digest BLOB NOT NULL,
    channel TEXT NOT NULL,
    reader_count INTEGER NOT NULL,
    size INTEGER NOT NULL,
    held_at INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('partial', 'held', 'finished', 'seen')),
    ended_by TEXT NOT NULL DEFAULT '',
    UNIQUE (sender, message_id)
);
CREATE INDEX messages_unfinished ON messages (expires) WHERE state IN ('partial', 'held');
CREATE INDEX messages_finished ON messages (expires) WHERE state = 'finished';

CREATE TABLE bodies (
    message INTEGER PRIMARY KEY REFERENCES messages (id),
    protected BLOB NOT NULL,
    sign_protected BLOB NOT NULL,
    signature BLOB NOT NULL,
    ciphertext BLOB NOT NULL
);

CREATE TABLE slots (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (id),
    reader TEXT NOT NULL,
    position INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('owed', 'read', 'unreadable', 'excused', 'expired')),
    copy TEXT NOT NULL CHECK (copy IN ('due', 'standing', 'clearing', 'cleared')),
    offers INTEGER NOT NULL,
    act_at INTEGER NOT NULL,
    ack BLOB,
    excuse INTEGER, -- excuses (id); dropped together with the message
    revoked_at INTEGER NOT NULL DEFAULT 0,
    UNIQUE (message, reader)
);
CREATE INDEX slots_owed ON slots (reader) WHERE state = 'owed';
CREATE INDEX slots_to_publish ON slots (act_at) WHERE copy IN ('due', 'standing');
CREATE INDEX slots_to_clear ON slots (act_at) WHERE copy = 'clearing';

CREATE TABLE wraps (
    slot INTEGER PRIMARY KEY REFERENCES slots (id),
    kid BLOB NOT NULL,
    open_hash BLOB NOT NULL,
    wrapped_cek BLOB NOT NULL,
    path BLOB NOT NULL -- 32-byte hashes, one after the other
);

CREATE TABLE excuses (
    id INTEGER PRIMARY KEY,
    message INTEGER NOT NULL REFERENCES messages (id),
    excuse BLOB NOT NULL
);
CREATE INDEX excuses_of ON excuses (message);

CREATE TABLE usage (
    sender TEXT PRIMARY KEY,
    messages INTEGER NOT NULL,
    size INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE tombstones (
    mark BLOB PRIMARY KEY,
    digest_mark BLOB NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tombstones_expired ON tombstones (expires);
