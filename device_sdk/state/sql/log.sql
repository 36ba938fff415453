-- What a device knows of gateways' logs. Columns stand in the order in which transparency/store.py reads them.

-- name: in_state
SELECT gateway, state, shown_to, signed FROM tree_head WHERE state = ? ORDER BY number

-- name: find
SELECT gateway, state, shown_to, signed FROM tree_head WHERE gateway = ? AND log_id = ? AND size = ?

-- name: put
INSERT INTO tree_head (gateway, log_id, size, state, shown_to, signed) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (gateway, log_id, size) DO UPDATE SET state = excluded.state

-- name: forget
DELETE FROM tree_head WHERE gateway = ? AND log_id = ? AND size = ?

-- name: no_longer_believed
UPDATE tree_head SET state = 'settled' WHERE gateway = ? AND state = 'believed'

-- name: trim
DELETE FROM tree_head WHERE state != 'believed' AND number IN
    (SELECT number FROM tree_head ORDER BY number DESC LIMIT -1 OFFSET ?)

-- name: give_up
INSERT OR IGNORE INTO given_up_log SELECT DISTINCT log_id FROM tree_head
WHERE gateway = ? AND log_id != ?

-- name: is_given_up
SELECT 1 FROM given_up_log WHERE log_id = ?

-- name: has_entry
SELECT 1 FROM log_entry WHERE leaf = ?

-- name: add_entry
INSERT OR IGNORE INTO log_entry (leaf) VALUES (?)

-- name: trim_entries
DELETE FROM log_entry WHERE number IN
    (SELECT number FROM log_entry ORDER BY number DESC LIMIT -1 OFFSET ?)

-- name: forget_entry
DELETE FROM log_entry WHERE leaf = ?

-- name: forget_entries
DELETE FROM log_entry

-- name: tries
SELECT thing, tries, at FROM log_try

-- name: put_try
INSERT OR REPLACE INTO log_try (thing, tries, at) VALUES (?, ?, ?)

-- name: forget_try
DELETE FROM log_try WHERE thing = ?

-- name: add_report
INSERT OR IGNORE INTO log_report (kind, gateway, about, at, first, second) VALUES (?, ?, ?, ?, ?, ?)

-- name: has_report
SELECT 1 FROM log_report
WHERE kind = ? AND gateway = ? AND about = ?
    AND (kind IN ('not-logged', 'second-key') OR (first = ? AND second = ?))

-- name: trim_reports
DELETE FROM log_report WHERE number IN
    (SELECT number FROM log_report WHERE kind = ? ORDER BY number DESC LIMIT -1 OFFSET ?)

-- name: reports
SELECT kind, gateway, about, at, first, second FROM log_report ORDER BY number
