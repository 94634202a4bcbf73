CREATE TABLE twinflow_writers (
    plan TEXT NOT NULL,
    writer TEXT NOT NULL,
    generation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (plan, writer)
) WITHOUT ROWID
