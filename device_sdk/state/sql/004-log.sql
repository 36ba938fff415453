-- Signed heads of gateways' logs (PROTOCOL 8.6), as far as this device was shown them: by the gateway
-- itself, or in the headers of other devices' messages. One of each log and size: another one with
-- another root is the proof of a split view, and goes into log_report together with it.
CREATE TABLE tree_head (
    number   INTEGER PRIMARY KEY,
    gateway  TEXT NOT NULL,
    log_id   BLOB NOT NULL,
    size     INTEGER NOT NULL,
    state    TEXT NOT NULL,
    shown_to TEXT NOT NULL,
    signed   BLOB NOT NULL,
    UNIQUE (gateway, log_id, size)
);

-- Logs that a gateway has begun anew: nobody can prove anything about them any more.
CREATE TABLE given_up_log (
    log_id BLOB PRIMARY KEY
) WITHOUT ROWID;

-- Leaf hashes of what was shown to be in the log that is believed.
CREATE TABLE log_entry (
    number INTEGER PRIMARY KEY,
    leaf   BLOB NOT NULL UNIQUE
);

-- How often a gateway was asked to show something and did not, so that a device that runs for moments
-- comes to an end with it. A thing is the leaf hash of an entry, or names a head; at: Unix seconds.
CREATE TABLE log_try (
    thing BLOB PRIMARY KEY,
    tries INTEGER NOT NULL,
    at    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE log_report (
    number  INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    gateway TEXT NOT NULL,
    about   TEXT NOT NULL,
    at      INTEGER NOT NULL,
    first   BLOB NOT NULL,
    second  BLOB NOT NULL,
    UNIQUE (kind, gateway, about, first, second)
);
