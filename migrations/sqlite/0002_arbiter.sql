CREATE TABLE twinflow_arbiter (
    cluster TEXT NOT NULL PRIMARY KEY,
    version INTEGER NOT NULL,
    record TEXT NOT NULL,
    checksum INTEGER NOT NULL
)
