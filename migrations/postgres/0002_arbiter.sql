CREATE TABLE twinflow_arbiter (
    cluster TEXT NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    record TEXT NOT NULL,
    checksum BIGINT NOT NULL
)
