-- The outbox's queries. Columns stand in the order in which outbox/store.py reads them.

-- name: add
INSERT INTO outgoing
    (message_id, digest, channel, issued, expires, state, detail, held_at, closed_at, noted,
     envelope, readers, anonymous)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: update
UPDATE outgoing
SET state = ?1, detail = ?2, held_at = ?3, closed_at = ?4, noted = ?5,
    envelope = CASE WHEN ?1 = 'waiting' THEN envelope END
WHERE message_id = ?6

-- name: put_reader
INSERT OR REPLACE INTO outgoing_reader VALUES (?, ?, ?, ?, ?, ?, ?)

-- name: readers
SELECT reader, open_hash, verdict, at, detail, evidence
FROM outgoing_reader WHERE message_id = ? ORDER BY reader

-- name: leave_out
INSERT INTO outgoing_left_out VALUES (?, ?, ?)

-- name: left_out
SELECT reader, reason FROM outgoing_left_out WHERE message_id = ? ORDER BY reader

-- name: get
SELECT message_id, digest, channel, issued, expires, state, detail, held_at, closed_at, noted,
    anonymous
FROM outgoing WHERE message_id = ?

-- name: envelope
SELECT envelope FROM outgoing WHERE message_id = ?

-- name: with_id_prefix
SELECT message_id, digest, channel, issued, expires, state, detail, held_at, closed_at, noted,
    anonymous
FROM outgoing WHERE message_id >= ? AND lower(hex(message_id)) LIKE ? ORDER BY message_id LIMIT ?

-- name: latest
SELECT message_id, digest, channel, issued, expires, state, detail, held_at, closed_at, noted,
    anonymous
FROM outgoing ORDER BY issued DESC, rowid DESC LIMIT ?

-- name: waiting
SELECT message_id, length(envelope) FROM outgoing WHERE state = 'waiting' ORDER BY issued, rowid

-- name: waiting_anonymously
SELECT message_id FROM outgoing WHERE state = 'waiting' AND anonymous

-- name: held_anonymously
SELECT message_id, digest FROM outgoing WHERE state = 'held' AND anonymous

-- name: count_open
SELECT state, count(*) FROM outgoing WHERE state IN ('waiting', 'held') GROUP BY state

-- name: has_open
SELECT 1 FROM outgoing WHERE state IN ('waiting', 'held') AND NOT anonymous
UNION ALL
SELECT 1 FROM outgoing WHERE noted = 'owed'
LIMIT 1

-- name: tracked
SELECT message_id, digest, state, issued FROM outgoing
WHERE state IN ('waiting', 'held') AND NOT anonymous
UNION ALL
SELECT message_id, digest, state, issued FROM outgoing WHERE noted = 'owed'
ORDER BY issued

-- name: unnoted
SELECT message_id, digest FROM outgoing WHERE noted = 'owed'

-- name: overdue
SELECT message_id, digest, channel, issued, expires, state, detail, held_at, closed_at, noted,
    anonymous
FROM outgoing WHERE state IN ('waiting', 'held') AND expires <= ?

-- name: owing
SELECT DISTINCT reader
FROM outgoing JOIN outgoing_reader USING (message_id)
WHERE state IN ('waiting', 'held') AND verdict = 'owed'

-- name: owed_by
SELECT message_id, digest, channel, issued, expires, state, outgoing.detail, held_at, closed_at,
    noted, anonymous
FROM outgoing JOIN outgoing_reader USING (message_id)
WHERE state IN ('waiting', 'held') AND verdict = 'owed' AND reader = ?

-- name: long_over
SELECT message_id, readers FROM outgoing WHERE expires < ?1 AND closed_at BETWEEN 1 AND ?1 LIMIT 1000

-- name: count_records
SELECT coalesce(sum(readers), 0) FROM outgoing

-- name: oldest_over
SELECT message_id, readers FROM outgoing WHERE closed_at > 0 ORDER BY closed_at LIMIT ?

-- name: drop_readers
DELETE FROM outgoing_reader WHERE message_id = ?

-- name: drop_left_out
DELETE FROM outgoing_left_out WHERE message_id = ?

-- name: drop
DELETE FROM outgoing WHERE message_id = ?
