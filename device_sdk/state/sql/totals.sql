-- Totals. Columns stand in the order in which totals/store.py reads them.

-- name: add_own
INSERT INTO own_reading (message_id, channel, sequence, issued, masked, policy, to_share,
    trustees, sent_to, tried)
VALUES (?, ?, ?, ?, ?, ?, ?, '', '', 0)

-- name: own
SELECT message_id, channel, sequence, issued, masked, policy, trustees, sent_to FROM own_reading
WHERE channel = ? AND issued >= ? AND issued < ? AND to_share = 0

-- name: to_share
SELECT message_id, channel, sequence, issued, masked, policy, trustees, sent_to FROM own_reading
WHERE to_share = 1 ORDER BY tried, issued LIMIT ?

-- name: count_to_share
SELECT count(*) FROM own_reading WHERE to_share = 1

-- name: sent_to
SELECT sent_to FROM own_reading WHERE message_id = ?

-- name: note_sent
UPDATE own_reading SET trustees = ?, sent_to = ? WHERE message_id = ?

-- name: note_tried
UPDATE own_reading SET tried = tried + 1 WHERE message_id = ?

-- name: drop_own
DELETE FROM own_reading WHERE message_id = ?

-- name: drop_own_of
DELETE FROM own_reading WHERE channel = ? AND issued >= ? AND issued < ?

-- name: forget_own
DELETE FROM own_reading WHERE issued < ?

-- name: trim_own
DELETE FROM own_reading WHERE message_id IN
    (SELECT message_id FROM own_reading ORDER BY issued DESC LIMIT -1 OFFSET ?)

-- name: count_own
SELECT count(*) FROM own_reading

-- name: put_share
INSERT INTO held_share
    (sender, message_id, channel, issued, problem, split, masked, second, reported)
VALUES (?, ?, ?, ?, ?, ?, ?, x'', 0)

-- name: put_second
UPDATE held_share SET second = ? WHERE sender = ? AND message_id = ?

-- name: note_reported
UPDATE held_share SET reported = 1 WHERE sender = ? AND message_id = ?

-- name: share
SELECT sender, message_id, channel, issued, problem, split, masked, second, reported FROM held_share
WHERE sender = ? AND message_id = ?

-- name: drop_shares
DELETE FROM held_share WHERE channel = ? AND issued >= ? AND issued < ?

-- name: forget_shares
DELETE FROM held_share WHERE issued < ?

-- name: trim_shares
DELETE FROM held_share WHERE sender = ?1 AND message_id IN
    (SELECT message_id FROM held_share WHERE sender = ?1 AND (problem <> '') = ?2
     ORDER BY reported DESC, issued DESC LIMIT -1 OFFSET ?3)

-- name: count_shares
SELECT count(*) FROM held_share WHERE sender = ? AND (problem <> '') = ?

-- name: add_totalled
INSERT INTO totalled (channel, start, until, request, answer) VALUES (?, ?, ?, ?, ?)

-- name: totalled
SELECT start, until, request, answer FROM totalled
WHERE channel = ? AND start < ? AND until > ? ORDER BY start

-- name: forget_totalled
DELETE FROM totalled WHERE until < ?
