-- Layout 2: an account in every key, what this ledger made and wrote, the claims that replace something, plans, classes
-- of failure, rates by action, and a code for each kind of invalid row. Rows and attempts, the long tables, are not written anew.

DROP VIEW standing;

ALTER TABLE input ADD COLUMN run_id TEXT;
UPDATE input SET run_id = (SELECT run_id FROM runs WHERE started_at <= input.read_at ORDER BY rowid DESC LIMIT 1);

ALTER TABLE target ADD COLUMN account TEXT NOT NULL DEFAULT '';
CREATE UNIQUE INDEX target_by_account ON target (account);

ALTER TABLE rows ADD COLUMN problem_code TEXT;
ALTER TABLE rows ADD COLUMN account TEXT DEFAULT '';
DROP INDEX rows_settled_when_read;
CREATE INDEX rows_settled_when_read ON rows (outcome, problem_code, account) WHERE outcome IS NOT NULL;
DROP INDEX rows_by_key;
CREATE INDEX rows_by_key ON rows (account, product_key, module_name, alias_name, "desc", outcome)
WHERE outcome IS NULL;

ALTER TABLE attempts ADD COLUMN failure TEXT;
ALTER TABLE attempts ADD COLUMN account TEXT NOT NULL DEFAULT '';

ALTER TABLE modules RENAME TO modules_of_layout_1;

CREATE TABLE modules (
    account       TEXT NOT NULL DEFAULT '',
    product_key   TEXT NOT NULL,
    module_name   TEXT NOT NULL COLLATE NOCASE,
    alias_name    TEXT,
    "desc"        TEXT,
    outcome       TEXT NOT NULL,
    code          TEXT,
    message       TEXT,
    request_id    TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0,
    recovered     INTEGER NOT NULL DEFAULT 0,
    in_doubt      INTEGER NOT NULL DEFAULT 0,
    settled_at    TEXT NOT NULL,
    run_id        TEXT NOT NULL,
    claimed       TEXT,
    owned         INTEGER NOT NULL DEFAULT 0,
    written_alias TEXT,
    written_desc  TEXT,
    undone        INTEGER NOT NULL DEFAULT 0,
    undone_at     TEXT,
    PRIMARY KEY (account, product_key, module_name)
) WITHOUT ROWID;

-- A drifted module lost its `created`, and with it what was written; that it was created is still in `attempts`.
INSERT INTO modules
SELECT
    '', product_key, module_name, alias_name, "desc", outcome, code, message, request_id,
    attempts, recovered, in_doubt, settled_at, run_id,
    iif(outcome = 'sending', 'create', NULL),
    outcome = 'created' OR (product_key, module_name COLLATE NOCASE) IN (
        SELECT product_key, module_name COLLATE NOCASE
        FROM attempts
        WHERE action = 'CreateOTAModule' AND module_name IS NOT NULL AND code IS NULL AND http_status IS NOT NULL
    ),
    iif(outcome = 'created', coalesce(alias_name, ''), NULL),
    iif(outcome = 'created', coalesce("desc", ''), NULL),
    0, NULL
FROM modules_of_layout_1
ORDER BY product_key, module_name;

DROP TABLE modules_of_layout_1;

CREATE TABLE claims (
    id           INTEGER PRIMARY KEY,
    account      TEXT NOT NULL DEFAULT '',
    product_key  TEXT NOT NULL,
    module_name  TEXT NOT NULL COLLATE NOCASE,
    kind         TEXT NOT NULL,
    wanted_alias TEXT,
    wanted_desc  TEXT,
    found_alias  TEXT,
    found_desc   TEXT,
    line         INTEGER,
    run_id       TEXT NOT NULL,
    at           TEXT NOT NULL,
    approved     INTEGER NOT NULL DEFAULT 0,
    frees_slot_for TEXT,
    awaits_create INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX claims_by_key ON claims (account, product_key, module_name, id);
CREATE INDEX claims_of_open_swaps ON claims (account, product_key) WHERE awaits_create = 1;

ALTER TABLE runs RENAME TO runs_of_layout_1;

CREATE TABLE runs (
    run_id     TEXT PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    version    TEXT NOT NULL,
    input      TEXT NOT NULL,
    rates      TEXT NOT NULL,
    exit_code  INTEGER,
    stopped    TEXT,
    summary    TEXT,
    command    TEXT NOT NULL DEFAULT 'run',
    applied    TEXT,
    user       TEXT
);

INSERT INTO runs
SELECT
    run_id, started_at, ended_at, pid, host, version, input, json_object('create', create_per_s, 'list', list_per_s),
    exit_code, stopped, summary, 'run', NULL, NULL
FROM runs_of_layout_1
ORDER BY rowid;

DROP TABLE runs_of_layout_1;


CREATE TABLE plans (
    account      TEXT NOT NULL DEFAULT '',
    run_id       TEXT NOT NULL,
    made_at      TEXT NOT NULL,
    input        TEXT NOT NULL,
    input_sha256 TEXT NOT NULL,
    flags        TEXT NOT NULL,
    finished_at  TEXT,
    applied_by   TEXT,
    PRIMARY KEY (account, run_id)
) WITHOUT ROWID;

CREATE TABLE planned (
    account        TEXT NOT NULL DEFAULT '',
    run_id         TEXT NOT NULL,
    product_key    TEXT NOT NULL,
    module_name    TEXT NOT NULL COLLATE NOCASE,
    kind           TEXT NOT NULL,
    wanted_alias   TEXT,
    wanted_desc    TEXT,
    found_name     TEXT,
    found_alias    TEXT,
    found_desc     TEXT,
    found_made     TEXT,
    line           INTEGER,
    adopted        INTEGER NOT NULL DEFAULT 0,
    withheld       TEXT,
    frees_slot_for TEXT,
    lifted         TEXT,
    state          TEXT NOT NULL DEFAULT 'open',
    PRIMARY KEY (account, run_id, product_key, module_name)
) WITHOUT ROWID;

CREATE TABLE good_syncs (
    account  TEXT PRIMARY KEY,
    run_id   TEXT NOT NULL,
    at       TEXT NOT NULL,
    rows     INTEGER NOT NULL,
    products INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE good_keys (
    account     TEXT NOT NULL DEFAULT '',
    product_key TEXT NOT NULL,
    module_name TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (account, product_key, module_name)
) WITHOUT ROWID;

CREATE VIEW standing AS
SELECT
    r.line, r.account, r.product_key, r.module_name, r.alias_name, r."desc", r.record,
    r.outcome AS outcome_when_read,
    CASE
        WHEN r.outcome IS NOT NULL THEN r.outcome
        WHEN m.outcome IS NULL OR m.outcome IN ('deleted', 'surplus') THEN 'pending'
        WHEN m.outcome IN ('created', 'updated', 'exists') AND (
            r.module_name COLLATE BINARY IS NOT m.module_name
            OR r.alias_name IS NOT m.alias_name
            OR r."desc" IS NOT m."desc"
        ) THEN 'pending'
        ELSE m.outcome
    END AS outcome,
    iif(r.outcome IS NULL, m.code, r.problem_code) AS code,
    iif(r.outcome IS NULL, m.message, r.message) AS message,
    m.request_id,
    coalesce(m.attempts, 0) AS attempts,
    coalesce(m.recovered, 0) AS recovered,
    coalesce(m.in_doubt, 0) AS in_doubt,
    m.settled_at,
    m.claimed,
    m.owned,
    coalesce(m.undone, 0) AS undone,
    m.undone_at,
    m.alias_name IS r.alias_name AND m."desc" IS r."desc" AS as_recorded
FROM rows AS r
LEFT JOIN modules AS m
    ON r.outcome IS NULL
    AND m.account = r.account AND m.product_key = r.product_key AND m.module_name = r.module_name;
