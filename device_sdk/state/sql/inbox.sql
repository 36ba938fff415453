-- The inbox's queries.

-- name: shown
INSERT OR IGNORE INTO incoming (sender, message_id, expires, state, copy, confirmed)
VALUES (?, ?, ?, 'shown', ?, 1)

-- name: handled
INSERT INTO incoming (sender, message_id, expires, state, ack, confirmed)
VALUES (?, ?, ?, 'handled', ?, 0)
ON CONFLICT (sender, message_id)
DO UPDATE SET state = excluded.state, ack = excluded.ack, copy = NULL, confirmed = 0

-- name: confirm
UPDATE incoming SET confirmed = 1 WHERE sender = ? AND message_id = ?

-- name: drop
DELETE FROM incoming WHERE sender = ? AND message_id = ?

-- name: get
SELECT state, copy, ack FROM incoming WHERE sender = ? AND message_id = ?

-- name: all_shown
SELECT sender, message_id FROM incoming WHERE state = 'shown' ORDER BY number

-- name: unconfirmed
SELECT sender, message_id, ack FROM incoming WHERE confirmed = 0 ORDER BY number LIMIT ?

-- name: count_unconfirmed
SELECT count(*) FROM incoming WHERE confirmed = 0

-- name: has_expired
SELECT 1 FROM incoming WHERE expires <= ? LIMIT 1

-- name: forget
DELETE FROM incoming WHERE expires <= ?
