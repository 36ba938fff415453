-- The log of rosters and key statements (PROTOCOL 8.6): the hashes of its complete subtrees, each
-- stored once, of which those at level 0 are the entries. Nothing is ever dropped from it.
CREATE TABLE log_nodes (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) WITHOUT ROWID;
CREATE INDEX log_leaves ON log_nodes (hash) WHERE level = 0;
