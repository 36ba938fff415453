-- Tokens for anonymous messages (PROTOCOL 19). A gateway's signed list of keys is kept as long as any
-- key that it was the first to show.
CREATE TABLE token_list (
    number INTEGER PRIMARY KEY,
    signed BLOB NOT NULL UNIQUE
);

CREATE TABLE token_key (
    key_id  BLOB PRIMARY KEY,
    gateway TEXT NOT NULL,
    channel TEXT NOT NULL,
    begins  INTEGER NOT NULL,
    ends    INTEGER NOT NULL,
    key     BLOB NOT NULL,
    list    INTEGER NOT NULL REFERENCES token_list (number),
    UNIQUE (gateway, channel, begins, ends)
);

-- Tokens and blinds that were drawn for a key, until the answer is here; then an empty blob.
CREATE TABLE token_request (
    key_id  BLOB PRIMARY KEY REFERENCES token_key (key_id),
    secrets BLOB NOT NULL
);

-- What may still be spent. A token leaves this table before its message is published.
CREATE TABLE token (
    token  BLOB PRIMARY KEY,
    key_id BLOB NOT NULL REFERENCES token_key (key_id),
    output BLOB NOT NULL
);

ALTER TABLE outgoing ADD COLUMN anonymous INTEGER NOT NULL DEFAULT 0;
CREATE INDEX outgoing_anonymous ON outgoing (state) WHERE anonymous;
