-- Series of numbers: the own ones, and what was heard of others'.

-- name: own
SELECT series, last FROM series WHERE channel = ? AND readers = ?

-- name: put_own
INSERT OR REPLACE INTO series (channel, readers, series, last) VALUES (?, ?, ?, ?)

-- name: trim_own
DELETE FROM series
WHERE number IN (SELECT number FROM series ORDER BY number DESC LIMIT -1 OFFSET ?)

-- name: heard
SELECT highest FROM heard WHERE sender = ? AND channel = ? AND series = ?

-- name: gaps
SELECT first, last, until FROM gap WHERE sender = ? AND channel = ? AND series = ? ORDER BY first

-- name: put_heard
INSERT OR REPLACE INTO heard (sender, channel, series, highest) VALUES (?, ?, ?, ?)

-- name: drop_gaps
DELETE FROM gap WHERE sender = ? AND channel = ? AND series = ?

-- name: put_gap
INSERT INTO gap VALUES (?, ?, ?, ?, ?, ?)

-- name: heard_long_ago
SELECT sender, channel, series FROM heard
WHERE sender = ? ORDER BY number DESC LIMIT -1 OFFSET ?

-- name: drop_heard
DELETE FROM heard WHERE sender = ? AND channel = ? AND series = ?
