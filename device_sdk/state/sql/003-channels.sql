-- Readers of a channel that a message was not sealed to, and why.
CREATE TABLE outgoing_left_out (
    message_id BLOB NOT NULL,
    reader     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (message_id, reader)
) WITHOUT ROWID;
