-- Keys for tokens, and the tokens. Columns stand in the order in which anonymous/store.py reads them.

-- name: add_list
INSERT OR IGNORE INTO token_list (signed) VALUES (?)

-- name: add_key
INSERT INTO token_key (key_id, gateway, channel, begins, ends, key, list)
SELECT ?, ?, ?, ?, ?, ?, number FROM token_list WHERE signed = ?

-- name: known
SELECT key FROM token_key WHERE gateway = ? AND channel = ? AND begins = ? AND ends = ?

-- name: list_of
SELECT l.signed FROM token_list AS l JOIN token_key AS k ON k.list = l.number WHERE k.key_id = ?

-- name: keys_of
SELECT gateway, key FROM token_key WHERE channel = ? ORDER BY begins

-- name: gateway_of
SELECT gateway FROM token_key WHERE key_id = ?

-- name: request
SELECT secrets FROM token_request WHERE key_id = ?

-- name: add_request
INSERT INTO token_request (key_id, secrets) VALUES (?, ?)

-- name: answer_request
UPDATE token_request SET secrets = x'' WHERE key_id = ?

-- name: add_token
INSERT INTO token (token, key_id, output) VALUES (?, ?, ?)

-- name: next_token
SELECT t.token, t.output, k.key FROM token AS t JOIN token_key AS k USING (key_id)
WHERE k.channel = ?1 AND k.begins <= ?2 AND k.ends > ?2 AND k.ends - k.begins = ?3 ORDER BY k.begins LIMIT 1

-- name: spend
DELETE FROM token WHERE token = ?

-- name: count
SELECT count(*) FROM token WHERE key_id = ?

-- name: drop_tokens
DELETE FROM token WHERE key_id IN (SELECT key_id FROM token_key WHERE ends <= ?)

-- name: drop_requests
DELETE FROM token_request WHERE key_id IN (SELECT key_id FROM token_key WHERE ends <= ?)

-- name: drop_keys
DELETE FROM token_key WHERE ends <= ?

-- name: drop_lists
DELETE FROM token_list WHERE number NOT IN (SELECT list FROM token_key)
