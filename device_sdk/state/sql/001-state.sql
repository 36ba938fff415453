-- Facts that there is one of: the roster's head, the latest trusted time.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE roster_page (
    hash BLOB PRIMARY KEY,
    page BLOB NOT NULL
);

-- What stands under keys/{device}, as last verified.
CREATE TABLE reader_key_list (
    device     TEXT PRIMARY KEY,
    statements BLOB NOT NULL
);

CREATE TABLE sequence (
    channel TEXT PRIMARY KEY,
    last    INTEGER NOT NULL
) WITHOUT ROWID;

-- The outbox. The envelope goes when the gateway holds the message, or when it is over.
CREATE TABLE outgoing (
    message_id BLOB PRIMARY KEY,
    digest     BLOB NOT NULL,
    channel    TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    expires    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    detail     TEXT NOT NULL,
    held_at    INTEGER NOT NULL,
    closed_at  INTEGER NOT NULL,
    noted      TEXT NOT NULL,
    envelope   BLOB
);

CREATE INDEX outgoing_open ON outgoing (issued) WHERE state IN ('waiting', 'held');
CREATE INDEX outgoing_unnoted ON outgoing (issued) WHERE noted = 'owed';
CREATE INDEX outgoing_by_issue ON outgoing (issued);

CREATE TABLE outgoing_reader (
    message_id BLOB NOT NULL,
    reader     TEXT NOT NULL,
    open_hash  BLOB NOT NULL,
    verdict    TEXT NOT NULL,
    at         INTEGER NOT NULL,
    detail     TEXT NOT NULL,
    evidence   BLOB NOT NULL,
    PRIMARY KEY (message_id, reader)
) WITHOUT ROWID;

-- The inbox. The sealed copy is kept from being shown until it is handled, never its plaintext.
CREATE TABLE incoming (
    number     INTEGER PRIMARY KEY,
    sender     TEXT NOT NULL,
    message_id BLOB NOT NULL,
    expires    INTEGER NOT NULL,
    state      TEXT NOT NULL,
    copy       BLOB,
    ack        BLOB,
    confirmed  INTEGER NOT NULL,
    UNIQUE (sender, message_id)
);

CREATE INDEX incoming_shown ON incoming (number) WHERE state = 'shown';
CREATE INDEX incoming_unconfirmed ON incoming (number) WHERE confirmed = 0;
CREATE INDEX incoming_by_expiry ON incoming (expires);
