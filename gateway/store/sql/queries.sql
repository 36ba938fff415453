-- Every statement of the ledger, under the name that the code calls it by.

-- name: new_meta
INSERT INTO meta (one, ledger_id, tombstone_key) VALUES (1, :ledger_id, :tombstone_key)

-- name: meta
SELECT ledger_id, tombstone_key, high_water, next_counter, swept_roster FROM meta

-- name: set_high_water
UPDATE meta SET high_water = :high_water

-- name: take_counters
UPDATE meta SET next_counter = next_counter + :count

-- name: set_swept_roster
UPDATE meta SET swept_roster = :version

-- name: is_used
SELECT EXISTS (SELECT 1 FROM messages) OR EXISTS (SELECT 1 FROM tombstones)

-- name: roster
SELECT version, head FROM roster

-- name: roster_pages
SELECT page FROM roster_pages ORDER BY position

-- name: set_roster
INSERT INTO roster (one, version, head) VALUES (1, :version, :head)
ON CONFLICT (one) DO UPDATE SET version = excluded.version, head = excluded.head

-- name: drop_roster_pages
DELETE FROM roster_pages

-- name: add_roster_page
INSERT INTO roster_pages (position, page) VALUES (:position, :page)

-- name: key_statement
SELECT device, kid, serial, not_before, not_after, statement FROM key_statements
WHERE kid = :kid AND device = :device

-- name: key_statements
SELECT device, kid, serial, not_before, not_after, statement FROM key_statements
WHERE device = :device ORDER BY serial

-- name: key_serial
SELECT serial FROM key_serials WHERE device = :device

-- name: devices_with_keys
SELECT DISTINCT device FROM key_statements ORDER BY device

-- name: add_key_statement
INSERT INTO key_statements (kid, device, serial, not_before, not_after, statement)
VALUES (:kid, :device, :serial, :not_before, :not_after, :statement)
ON CONFLICT (device, kid) DO UPDATE SET
    serial = excluded.serial, not_before = excluded.not_before, not_after = excluded.not_after,
    statement = excluded.statement

-- name: remember_key_serial
INSERT INTO key_serials (device, serial) VALUES (:device, :serial)
ON CONFLICT (device) DO UPDATE SET serial = max(serial, excluded.serial)

-- name: devices_with_old_keys
SELECT DISTINCT device FROM key_statements WHERE not_after <= :until ORDER BY device

-- name: drop_key_statements
DELETE FROM key_statements WHERE not_after <= :until

-- name: log_size
SELECT position + 1 FROM log_nodes WHERE level = 0 ORDER BY position DESC LIMIT 1

-- name: log_node
SELECT hash FROM log_nodes WHERE level = :level AND position = :position

-- name: log_index
SELECT position FROM log_nodes WHERE level = 0 AND hash = :leaf ORDER BY position LIMIT 1

-- name: add_log_node
INSERT INTO log_nodes (level, position, hash) VALUES (:level, :position, :hash)

-- name: message
SELECT id, digest, channel, reader_count, size, held_at, expires, state, ended_by FROM messages
WHERE sender = :sender AND message_id = :message_id

-- name: add_message
INSERT INTO messages
    (sender, message_id, digest, channel, reader_count, size, held_at, expires, state, ended_by)
VALUES
    (:sender, :message_id, :digest, :channel, :reader_count, :size, :held_at, :expires, :state,
     :ended_by)

-- name: set_message
UPDATE messages
SET state = :state, ended_by = CASE WHEN :ended_by = '' THEN ended_by ELSE :ended_by END
WHERE id = :id

-- name: drop_message_wraps
DELETE FROM wraps WHERE slot IN (SELECT id FROM slots WHERE message = :id)

-- name: drop_message_slots
DELETE FROM slots WHERE message = :id

-- name: drop_message_excuses
DELETE FROM excuses WHERE message = :id

-- name: drop_message
DELETE FROM messages WHERE id = :id

-- name: body
SELECT b.protected, b.sign_protected, b.signature, b.ciphertext, coalesce(t.token, x'')
FROM bodies AS b LEFT JOIN body_tokens AS t ON t.message = b.message WHERE b.message = :id

-- name: add_body
INSERT INTO bodies (message, protected, sign_protected, signature, ciphertext)
VALUES (:id, :protected, :sign_protected, :signature, :ciphertext)

-- name: add_body_token
INSERT INTO body_tokens (message, token) VALUES (:id, :token)

-- name: drop_body_token
DELETE FROM body_tokens WHERE message = :id

-- name: drop_body
DELETE FROM bodies WHERE message = :id

-- name: count_message
INSERT INTO usage (sender, messages, size) VALUES (:sender, 1, 0)
ON CONFLICT (sender) DO UPDATE SET messages = messages + 1

-- name: count_body
UPDATE usage SET size = usage.size + m.size
FROM messages AS m WHERE m.id = :id AND usage.sender = m.sender

-- name: discount_body
UPDATE usage SET size = usage.size - m.size
FROM messages AS m WHERE m.id = :id AND usage.sender = m.sender

-- name: discount_message
UPDATE usage SET messages = messages - 1 WHERE sender = :sender

-- name: drop_unused
DELETE FROM usage WHERE messages <= 0 AND sender = :sender

-- name: usage
SELECT messages, size FROM usage WHERE sender = :sender

-- name: slots
SELECT s.id, s.reader, s.position, s.state, s.copy, s.offers, s.act_at, s.ack, e.excuse, s.revoked_at
FROM slots AS s LEFT JOIN excuses AS e ON e.id = s.excuse
WHERE s.message = :id ORDER BY s.position

-- name: slot
SELECT s.id, s.reader, s.position, s.state, s.copy, s.offers, s.act_at, s.ack, e.excuse, s.revoked_at
FROM slots AS s LEFT JOIN excuses AS e ON e.id = s.excuse
WHERE s.message = :id AND s.reader = :reader

-- name: wrap
SELECT w.kid, w.open_hash, w.wrapped_cek, w.path
FROM wraps AS w JOIN slots AS s ON s.id = w.slot
WHERE s.message = :id AND s.reader = :reader

-- name: copy
SELECT s.position, s.copy, s.offers, m.expires, b.protected, b.sign_protected, b.signature,
    b.ciphertext, coalesce(t.token, x''), w.kid, w.open_hash, w.wrapped_cek, w.path
FROM messages AS m JOIN slots AS s ON s.message = m.id
LEFT JOIN bodies AS b ON b.message = m.id LEFT JOIN body_tokens AS t ON t.message = m.id
LEFT JOIN wraps AS w ON w.slot = s.id
WHERE m.sender = :sender AND m.message_id = :message_id AND s.reader = :reader AND s.state = 'owed'

-- name: count_slots
SELECT count(*) FROM slots WHERE message = :id

-- name: is_owed
SELECT EXISTS (SELECT 1 FROM slots WHERE message = :id AND state = 'owed')

-- name: is_uncleared
SELECT EXISTS (SELECT 1 FROM slots WHERE message = :id AND copy != 'cleared')

-- name: owed_by
SELECT count(*) FROM slots WHERE reader = :reader AND state = 'owed'

-- name: add_slot
INSERT INTO slots (message, reader, position, state, copy, offers, act_at, revoked_at)
VALUES (:id, :reader, :index, :state, :copy, :offers, :act_at, :revoked_at)

-- name: add_wrap
INSERT INTO wraps (slot, kid, open_hash, wrapped_cek, path)
VALUES (:slot, :kid, :open_hash, :wrapped_cek, :path)

-- name: settle
UPDATE slots SET state = :state, ack = :ack, excuse = :excuse, revoked_at = :revoked_at
WHERE message = :id AND reader = :reader AND state = 'owed'

-- name: drop_wrap
DELETE FROM wraps WHERE slot = (SELECT id FROM slots WHERE message = :id AND reader = :reader)

-- name: find_excuse
SELECT id FROM excuses WHERE message = :id AND excuse = :excuse

-- name: add_excuse
INSERT INTO excuses (message, excuse) VALUES (:id, :excuse)

-- name: set_copy
UPDATE slots SET copy = :copy, act_at = :act_at, offers = :offers
WHERE message = :id AND reader = :reader

-- name: make_copies_due
UPDATE slots SET act_at = :now WHERE copy IN ('due', 'standing') AND act_at > :now AND copy = 'due'

-- name: make_clearings_due
UPDATE slots SET act_at = :now WHERE copy = 'clearing' AND act_at > :now

-- name: copies_due
SELECT m.sender, m.message_id, s.reader FROM slots AS s JOIN messages AS m ON m.id = s.message
WHERE s.copy IN ('due', 'standing') AND s.act_at <= :until ORDER BY s.act_at LIMIT :limit

-- name: clearings_due
SELECT m.sender, m.message_id, s.reader FROM slots AS s JOIN messages AS m ON m.id = s.message
WHERE s.copy = 'clearing' AND s.act_at <= :until ORDER BY s.act_at LIMIT :limit

-- name: owed_refs
SELECT m.sender, m.message_id, s.reader FROM slots AS s JOIN messages AS m ON m.id = s.message
WHERE s.reader = :reader AND s.state = 'owed' LIMIT :limit

-- name: owed_by_readers
SELECT reader, count(*) FROM slots WHERE state = 'owed' GROUP BY reader

-- name: standing_copies
SELECT s.id, m.sender, m.message_id
FROM slots AS s INDEXED BY slots_owed JOIN messages AS m ON m.id = s.message
WHERE s.reader = :reader AND s.state = 'owed' AND s.copy = 'standing' AND s.id > :after
ORDER BY s.id LIMIT :limit

-- name: owed_copies
SELECT m.sender, m.message_id, s.reader FROM messages AS m CROSS JOIN slots AS s ON s.message = m.id
WHERE (m.sender, m.message_id) >= (:sender, :message_id) AND s.state = 'owed'
  AND (m.sender, m.message_id, s.reader) > (:sender, :message_id, :reader)
ORDER BY m.sender, m.message_id, s.reader LIMIT :limit

-- name: expired
SELECT sender, message_id FROM messages
WHERE state IN ('partial', 'held') AND expires <= :high_water ORDER BY expires LIMIT :limit

-- name: finished_until
SELECT sender, message_id FROM messages
WHERE state = 'finished' AND expires <= :until ORDER BY expires LIMIT :limit

-- name: finished_from
SELECT sender, message_id FROM messages INDEXED BY messages_finished_of
WHERE sender = :sender AND state = 'finished' LIMIT :limit

-- name: unfinished_from
SELECT sender, message_id FROM messages
WHERE sender = :sender AND state IN ('partial', 'held') LIMIT :limit

-- name: tombstone
SELECT mark, digest_mark, expires FROM tombstones WHERE mark = :mark

-- name: add_tombstone
INSERT INTO tombstones (mark, digest_mark, expires) VALUES (:mark, :digest_mark, :expires)

-- name: drop_tombstones
DELETE FROM tombstones WHERE mark IN
    (SELECT mark FROM tombstones WHERE expires <= :until ORDER BY expires LIMIT :limit)

-- name: summaries
SELECT m.sender, m.message_id, m.channel, m.state, m.reader_count, m.size, m.held_at, m.expires, m.id
FROM messages AS m WHERE (m.sender, m.message_id) > (:sender, :message_id)
ORDER BY m.sender, m.message_id LIMIT :limit

-- name: owing
SELECT reader FROM slots WHERE message = :id AND state = 'owed' ORDER BY reader

-- name: add_registered
INSERT INTO register
    (channel, sender, message_id, sequence, issued, policy, commitment, held_at)
VALUES
    (:channel, :sender, :message_id, :sequence, :issued, :policy, :commitment, :held_at)
ON CONFLICT (sender, message_id) DO NOTHING

-- name: count_registered
INSERT INTO register_days (sender, day, readings) VALUES (:sender, :day, 1)
ON CONFLICT (sender, day) DO UPDATE SET readings = readings + 1

-- name: registered_on
SELECT readings FROM register_days WHERE sender = :sender AND day = :day

-- name: drop_register_days
DELETE FROM register_days WHERE day < :day

-- name: registered
SELECT sender, message_id, channel, sequence, issued, policy, commitment, held_at
FROM register INDEXED BY register_by_time
WHERE channel = :channel AND issued >= :start AND issued < :until
  AND (:sender = '' OR sender = :sender)
ORDER BY sender, message_id LIMIT :limit

-- name: registered_of_each
WITH numbered AS (
    SELECT sender, message_id, channel, sequence, issued, policy, commitment, held_at,
           row_number() OVER (PARTITION BY sender ORDER BY message_id) AS number
    FROM register INDEXED BY register_by_time
    WHERE channel = :channel AND issued >= :start AND issued < :until
)
SELECT sender, message_id, channel, sequence, issued, policy, commitment, held_at
FROM numbered WHERE number <= :limit ORDER BY sender, message_id

-- name: registered_channels
WITH RECURSIVE known (channel) AS (
    SELECT min(channel) FROM register
    UNION ALL
    SELECT (SELECT min(channel) FROM register WHERE channel > known.channel)
    FROM known WHERE known.channel IS NOT NULL
)
SELECT channel FROM known WHERE channel IS NOT NULL

-- name: drop_registered_until
DELETE FROM register WHERE id IN
    (SELECT id FROM (SELECT id, held_at FROM register ORDER BY id LIMIT :limit)
     WHERE held_at <= :until)

-- name: drop_registered_channel
DELETE FROM register WHERE id IN
    (SELECT id FROM register WHERE channel = :channel LIMIT :limit)

-- name: token_key
SELECT channel, begins, ends, public, seed, erase_at FROM token_keys WHERE key_id = :key_id

-- name: token_keys
SELECT channel, begins, ends, public, seed, erase_at FROM token_keys ORDER BY begins DESC, channel

-- name: add_token_key
INSERT INTO token_keys (key_id, channel, begins, ends, public, seed, erase_at)
VALUES (:key_id, :channel, :begins, :ends, :public, :seed, :erase_at)

-- name: token_request
SELECT i.request FROM tokens_issued AS i JOIN token_keys AS k ON k.id = i.key
WHERE k.key_id = :key_id AND i.device = :device

-- name: add_token_request
INSERT INTO tokens_issued (key, device, request)
SELECT id, :device, :request FROM token_keys WHERE key_id = :key_id

-- name: token_spent
SELECT s.digest_mark FROM tokens_spent AS s JOIN token_keys AS k ON k.id = s.key
WHERE k.key_id = :key_id AND s.token = :token

-- name: add_token_spent
INSERT INTO tokens_spent (key, token, digest_mark)
SELECT id, :token, :digest_mark FROM token_keys WHERE key_id = :key_id

-- name: drop_tokens_issued
DELETE FROM tokens_issued WHERE key IN (SELECT id FROM token_keys WHERE erase_at <= :until)

-- name: drop_tokens_spent
DELETE FROM tokens_spent WHERE key IN (SELECT id FROM token_keys WHERE erase_at <= :until)

-- name: drop_token_keys
DELETE FROM token_keys WHERE erase_at <= :until
