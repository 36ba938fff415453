-- The register of readings that can be added up (PROTOCOL 18.2), on channels whose owner allows it.
-- Ids count up as time does, so that the oldest rows are the first ones.
CREATE TABLE register (
    id INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    sender TEXT NOT NULL,
    message_id BLOB NOT NULL,
    sequence BLOB NOT NULL, -- 8 bytes: an unsigned number
    issued INTEGER NOT NULL,
    policy BLOB NOT NULL,
    commitment BLOB NOT NULL,
    held_at INTEGER NOT NULL,
    UNIQUE (sender, message_id)
);

CREATE INDEX register_by_time ON register (channel, issued);

-- How many readings of a sender were entered on each day, so that one that has run wild stays bounded.
CREATE TABLE register_days (
    sender TEXT NOT NULL,
    day INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    PRIMARY KEY (sender, day)
) WITHOUT ROWID;
