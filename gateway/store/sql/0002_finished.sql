-- The answer to a sender's query names what has ended and still waits for its word.
CREATE INDEX messages_finished_of ON messages (sender) WHERE state = 'finished';
