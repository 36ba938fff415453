-- Totals (PROTOCOL 18). The device's own readings until they were totalled: masked, so that whoever
-- copies this file alone learns none of them. to_share: the trustees have not been sent their parts.
CREATE TABLE own_reading (
    message_id BLOB PRIMARY KEY,
    channel    TEXT NOT NULL,
    sequence   BLOB NOT NULL, -- 8 bytes: an unsigned number
    issued     INTEGER NOT NULL,
    masked     BLOB NOT NULL,
    policy     BLOB NOT NULL,
    to_share   INTEGER NOT NULL,
    trustees   TEXT NOT NULL, -- to whom it was shared out first; names, with spaces between them
    sent_to    TEXT NOT NULL, -- which of them have their shares
    tried      INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX own_reading_by_time ON own_reading (issued);
CREATE INDEX own_reading_to_share ON own_reading (tried, issued) WHERE to_share = 1;

-- What others have shared out to this device as a trustee, until it was added up: masked as above.
CREATE TABLE held_share (
    sender     TEXT NOT NULL,
    message_id BLOB NOT NULL,
    channel    TEXT NOT NULL,
    issued     INTEGER NOT NULL,
    problem    TEXT NOT NULL,
    split      BLOB NOT NULL,
    masked     BLOB NOT NULL,
    second     BLOB NOT NULL, -- another split of this reading by its device, if there is one
    reported   INTEGER NOT NULL, -- 1: others may rely on it
    PRIMARY KEY (sender, message_id)
) WITHOUT ROWID;

CREATE INDEX held_share_by_time ON held_share (issued);
CREATE INDEX held_share_by_sender ON held_share (sender, problem, reported, issued);

-- What was answered: another request about the same time is refused, the same one answered again.
CREATE TABLE totalled (
    channel TEXT NOT NULL,
    start   INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    request BLOB NOT NULL,
    answer  BLOB NOT NULL,
    PRIMARY KEY (channel, start)
) WITHOUT ROWID;
