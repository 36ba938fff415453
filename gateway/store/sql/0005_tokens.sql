-- Tokens for anonymous messages (PROTOCOL 19). A key goes with all that was issued and spent under it.
CREATE TABLE token_keys (
    id INTEGER PRIMARY KEY,
    key_id BLOB NOT NULL UNIQUE,
    channel TEXT NOT NULL,
    begins INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    public BLOB NOT NULL,
    seed BLOB NOT NULL,
    erase_at INTEGER NOT NULL,
    UNIQUE (channel, begins, ends)
);

-- Who has been given tokens, and for which blinded request. Nothing here is known of the tokens.
CREATE TABLE tokens_issued (
    key INTEGER NOT NULL REFERENCES token_keys (id),
    device TEXT NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (key, device)
) WITHOUT ROWID;

-- Which tokens have been spent, and a keyed hash of the message that each was spent for.
CREATE TABLE tokens_spent (
    key INTEGER NOT NULL REFERENCES token_keys (id),
    token BLOB NOT NULL,
    digest_mark BLOB NOT NULL,
    PRIMARY KEY (key, token)
) WITHOUT ROWID;

-- Of an anonymous message's body: token and mac, one after the other, in place of a signature.
CREATE TABLE body_tokens (
    message INTEGER PRIMARY KEY REFERENCES messages (id),
    token BLOB NOT NULL
);
