-- What `sealgate audit` asks: rows that should be gone by the ledger's own rules. Run by people, now
-- and then, so that these may look at whole tables. Each returns sender, message id, reader, bytes.

-- name: bodies_not_owed
SELECT m.sender, m.message_id, '',
       length(b.protected) + length(b.sign_protected) + length(b.signature) + length(b.ciphertext)
FROM bodies AS b LEFT JOIN messages AS m ON m.id = b.message
WHERE NOT EXISTS (SELECT 1 FROM slots AS s WHERE s.message = b.message AND s.state = 'owed')

-- name: wraps_not_owed
SELECT m.sender, m.message_id, s.reader,
       length(w.kid) + length(w.open_hash) + length(w.wrapped_cek) + length(w.path)
FROM wraps AS w
LEFT JOIN slots AS s ON s.id = w.slot LEFT JOIN messages AS m ON m.id = s.message
WHERE s.state IS NULL OR s.state != 'owed'

-- name: evidence_of_nothing
SELECT NULL, NULL, s.reader, coalesce(length(s.ack), 0) FROM slots AS s
WHERE NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = s.message)
UNION ALL
SELECT NULL, NULL, '', length(e.excuse) FROM excuses AS e
WHERE NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = e.message)

-- name: past_their_expiry
SELECT m.sender, m.message_id, '', m.size FROM messages AS m
WHERE m.state IN ('partial', 'held') AND m.expires <= :expired

-- name: past_their_grace
SELECT m.sender, m.message_id, '', 0 FROM messages AS m
WHERE m.state = 'finished' AND m.expires <= :given_up

-- name: seen_and_cleared
SELECT m.sender, m.message_id, '', 0 FROM messages AS m
WHERE m.state = 'seen'
  AND NOT EXISTS (SELECT 1 FROM slots AS s WHERE s.message = m.id AND s.copy != 'cleared')

-- name: tombstones_past_their_expiry
SELECT NULL, mark, '', length(mark) + length(digest_mark) FROM tombstones WHERE expires <= :expired

-- name: registered_past_their_time
SELECT sender, message_id, '', length(commitment) + length(policy) FROM register
WHERE held_at <= :registered

-- name: token_keys_past_their_time
SELECT NULL, key_id, channel, length(seed) FROM token_keys WHERE erase_at <= :expired

-- name: tokens_of_nothing
SELECT NULL, token, '', length(token) + length(digest_mark) FROM tokens_spent AS s
WHERE NOT EXISTS (SELECT 1 FROM token_keys AS k WHERE k.id = s.key)
UNION ALL
SELECT device, request, '', length(request) FROM tokens_issued AS i
WHERE NOT EXISTS (SELECT 1 FROM token_keys AS k WHERE k.id = i.key)
UNION ALL
SELECT NULL, token, '', length(token) FROM body_tokens AS t
WHERE NOT EXISTS (SELECT 1 FROM bodies AS b WHERE b.message = t.message)

-- name: held
SELECT count(*) FROM messages WHERE state IN ('partial', 'held')
