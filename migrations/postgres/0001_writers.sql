CREATE TABLE twinflow_writers (
    plan TEXT NOT NULL,
    writer TEXT NOT NULL,
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (plan, writer)
)
