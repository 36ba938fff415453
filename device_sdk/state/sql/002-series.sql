-- Numbers count within a series: the messages to one set of readers (PROTOCOL 5.1). The old numbers
-- went by channel alone, so that a reader could conclude nothing from them.
DROP TABLE sequence;

-- What this device numbers. A row is written anew at every use: its number tells the order of use.
CREATE TABLE series (
    number  INTEGER PRIMARY KEY,
    channel TEXT NOT NULL,
    readers BLOB NOT NULL,
    series  INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    UNIQUE (channel, readers)
);

-- What it has heard of other senders' series, in the order of the latest news.
CREATE TABLE heard (
    number  INTEGER PRIMARY KEY,
    sender  TEXT NOT NULL,
    channel TEXT NOT NULL,
    series  INTEGER NOT NULL,
    highest INTEGER NOT NULL,
    UNIQUE (sender, channel, series)
);

CREATE INDEX heard_by_sender ON heard (sender, number);

CREATE TABLE gap (
    sender  TEXT NOT NULL,
    channel TEXT NOT NULL,
    series  INTEGER NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    PRIMARY KEY (sender, channel, series, first)
) WITHOUT ROWID;

-- How many rows of outgoing_reader a message has: their sum is bounded.
ALTER TABLE outgoing ADD COLUMN readers INTEGER NOT NULL DEFAULT 0;
UPDATE outgoing SET readers = (
    SELECT count(*) FROM outgoing_reader
    WHERE outgoing_reader.message_id = outgoing.message_id
);
CREATE INDEX outgoing_by_closing ON outgoing (closed_at, readers);
