CREATE TABLE IF NOT EXISTS twinflow_writers (
    plan VARCHAR(100) NOT NULL,
    writer VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (plan, writer)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
