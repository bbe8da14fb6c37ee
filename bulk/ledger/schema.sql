-- The ledger of bulk, layout 2: the queue and the record of one file's way to its targets. A new ledger is laid out by
-- this script; an old one comes to the same layout by the scripts in `migrations/`, one after the other.
-- Later layouts keep tables named `target` and `runs`: by these every version of bulk knows a ledger.
-- Times are UTC, ISO 8601 with milliseconds. Stored outcomes are those of bulk.model.Outcome.

-- What this ledger belongs to: one row for each account. Without accounts it is the account ''.
CREATE TABLE target (
    dialect     TEXT NOT NULL,
    endpoint    TEXT NOT NULL,
    instance_id TEXT,
    account     TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX target_by_account ON target (account);

-- The input as it was last read. One row; replaced together with `rows`.
CREATE TABLE input (
    name    TEXT NOT NULL,     -- as the user gave it; '-' for stdin
    shape   TEXT NOT NULL,     -- JSON: how its records are laid out, so that results can be written the same way
    rows    INTEGER NOT NULL,
    read_at TEXT NOT NULL,
    run_id  TEXT               -- of the run that read it
);

-- The rows of the input, a record a row. Replaced as a whole at every ingest: what is durable about a module
-- stands in `modules`, which a changed or reordered file meets again by key.
CREATE TABLE rows (
    line        INTEGER PRIMARY KEY,         -- of the file, starting at 1
    product_key TEXT,                        -- NULL in rows that fail validation, like the next three
    module_name TEXT COLLATE NOCASE,         -- ASCII by rule, so NOCASE is the platform's case-blindness
    alias_name  TEXT,
    "desc"      TEXT,
    record      TEXT NOT NULL,               -- the row as it was: the JSONL line, or a JSON array of its cells,
                                             -- in which 0 to 3 stand for the four columns above
    outcome     TEXT,                        -- 'invalid' or 'duplicate'; NULL: as `modules` says
    message     TEXT,
    problem_code TEXT,                       -- of an invalid row: the kind of its problem, such as 'alias_name.characters';
                                             -- NULL: it was read by a version that had none
    account     TEXT DEFAULT ''              -- NULL: of an invalid row that does not say which
);

-- Lanes, keys and repeats: only rows that stand for a module. It holds all that a lane needs, so that the rows of a lane
-- lie together and are not looked up one by one in file order; and it has the order of `modules`, so that how all rows
-- stand is one walk along both. The outcome, though always NULL here, is what `standing` asks for first.
CREATE INDEX rows_by_key ON rows (account, product_key, module_name, alias_name, "desc", outcome)
WHERE outcome IS NULL;

-- The others, as a rule few.
CREATE INDEX rows_settled_when_read ON rows (outcome, problem_code, account) WHERE outcome IS NOT NULL;

-- What became of each module that any input of this ledger asked for. A key has no record here before it is
-- claimed or settled.
CREATE TABLE modules (
    account       TEXT NOT NULL DEFAULT '',
    product_key   TEXT NOT NULL,
    module_name   TEXT NOT NULL COLLATE NOCASE,
    alias_name    TEXT,                      -- these three as they were asked for when the outcome was recorded
    "desc"        TEXT,
    outcome       TEXT NOT NULL,
    code          TEXT,                      -- of the last failure
    message       TEXT,
    request_id    TEXT,
    attempts      INTEGER NOT NULL DEFAULT 0, -- creates sent, over all runs, throttled ones not counted
    recovered     INTEGER NOT NULL DEFAULT 0, -- 1: a listing proved the create after a lost reply or a crash
    in_doubt      INTEGER NOT NULL DEFAULT 0, -- 1: a create may have been carried out unseen
    settled_at    TEXT NOT NULL,
    run_id        TEXT NOT NULL,
    claimed       TEXT,                      -- while it is 'sending' or in doubt: a bulk.model.ChangeKind, what may have left
    -- They tell what is ours on the platform, whatever became of it since: no outcome overwrites the next three, but one
    -- that says that the module is absent.
    owned         INTEGER NOT NULL DEFAULT 0, -- 1: a run of this ledger created it, or a sync adopted it
    written_alias TEXT,                      -- as last written by us; '': left out at its create;
    written_desc  TEXT,                      -- NULL: not known, or nothing was written
    undone        INTEGER NOT NULL DEFAULT 0, -- nights running in which an update of ours was found undone
    undone_at     TEXT,                      -- when that was last counted
    PRIMARY KEY (account, product_key, module_name)
) WITHOUT ROWID;

-- Claims that replace what a listing showed, which are all but creates: kept as the data to undo them. A claim stands
-- here in the same commit as in `modules`; of the claims of a key the last is the one that `modules.claimed` is about.
CREATE TABLE claims (
    id           INTEGER PRIMARY KEY,
    account      TEXT NOT NULL DEFAULT '',
    product_key  TEXT NOT NULL,
    module_name  TEXT NOT NULL COLLATE NOCASE,
    kind         TEXT NOT NULL,              -- a bulk.model.ChangeKind
    wanted_alias TEXT,                       -- NULL: not compared, or a delete
    wanted_desc  TEXT,
    found_alias  TEXT,                       -- as the listing showed them
    found_desc   TEXT,
    line         INTEGER,                    -- NULL: no row of the input asks for it
    run_id       TEXT NOT NULL,
    at           TEXT NOT NULL,
    approved     INTEGER NOT NULL DEFAULT 0, -- 1: by an apply, so that it counts against no limit of a night
    frees_slot_for TEXT,                     -- of a delete: the module whose create was claimed with it
    awaits_create INTEGER NOT NULL DEFAULT 0 -- 1: of such a delete, until that module, or it again, is on the platform
);
CREATE INDEX claims_by_key ON claims (account, product_key, module_name, id);
CREATE INDEX claims_of_open_swaps ON claims (account, product_key) WHERE awaits_create = 1;

-- Every request that was tried, for the auditor. Old ones are removed: see bulk.ledger.retention.
CREATE TABLE attempts (
    id          INTEGER PRIMARY KEY,
    run_id      TEXT NOT NULL,
    at          TEXT NOT NULL,
    action      TEXT NOT NULL,
    product_key TEXT NOT NULL,
    module_name TEXT,                        -- NULL for a listing
    http_status INTEGER,                     -- NULL: no reply arrived
    code        TEXT,                        -- NULL: it succeeded
    request_id  TEXT,
    latency_ms  REAL NOT NULL,
    failure     TEXT,                        -- its class, a bulk.model.FailureKind; NULL: it succeeded, or is of layout 1
    account     TEXT NOT NULL DEFAULT ''
);

-- Every run of this ledger. A run without an end is at work, or died.
CREATE TABLE runs (
    run_id     TEXT PRIMARY KEY,             -- 32 hexadecimal digits; of layout 1: 8
    started_at TEXT NOT NULL,
    ended_at   TEXT,
    pid        INTEGER NOT NULL,
    host       TEXT NOT NULL,
    version    TEXT NOT NULL,
    input      TEXT NOT NULL,
    rates      TEXT NOT NULL,                -- JSON: requests a second that were asked for, by action; 0: unlimited
    exit_code  INTEGER,
    stopped    TEXT,                         -- why it stopped early
    summary    TEXT,                         -- JSON, as `--json` printed it
    command    TEXT NOT NULL DEFAULT 'run',  -- 'run', 'sync' or 'apply'
    applied    TEXT,                         -- of an apply: the run that made the plan
    user       TEXT                          -- who began it, by the system's name; NULL: from a version that did not note it
);

-- What a sync decided for one account before its first write. It waits for approval where something is withheld.
CREATE TABLE plans (
    account      TEXT NOT NULL DEFAULT '',
    run_id       TEXT NOT NULL,              -- of the run that decided it
    made_at      TEXT NOT NULL,
    input        TEXT NOT NULL,
    input_sha256 TEXT NOT NULL,
    flags        TEXT NOT NULL,              -- JSON: what narrowed or widened it
    finished_at  TEXT,                       -- NULL: something of it may still be applied
    applied_by   TEXT,                       -- the last run that applied it
    PRIMARY KEY (account, run_id)
) WITHOUT ROWID;

-- The changes of a plan, a change for each module.
CREATE TABLE planned (
    account        TEXT NOT NULL DEFAULT '',
    run_id         TEXT NOT NULL,            -- of the plan
    product_key    TEXT NOT NULL,
    module_name    TEXT NOT NULL COLLATE NOCASE,
    kind           TEXT NOT NULL,            -- a bulk.model.ChangeKind
    wanted_alias   TEXT,                     -- NULL: not compared, or a delete
    wanted_desc    TEXT,
    found_name     TEXT,                     -- as the listing showed the module; NULL: it was not there
    found_alias    TEXT,
    found_desc     TEXT,
    found_made     TEXT,                     -- its GmtCreate as the listing wrote it, as JSON
    line           INTEGER,                  -- NULL: no row of the input asks for it
    adopted        INTEGER NOT NULL DEFAULT 0, -- 1: taken over as ours, nothing is sent
    withheld       TEXT,                     -- why it waits for approval; NULL: it may go
    frees_slot_for TEXT,                     -- of a delete: the module whose create needs its slot
    lifted         TEXT,                     -- of an apply: why it waited until somebody approved it
    state          TEXT NOT NULL DEFAULT 'open', -- 'open', 'done', or 'moved': found otherwise than planned
    PRIMARY KEY (account, run_id, product_key, module_name)
) WITHOUT ROWID;

-- The last good sync of each account, against which the next input is held.
CREATE TABLE good_syncs (
    account  TEXT PRIMARY KEY,
    run_id   TEXT NOT NULL,
    at       TEXT NOT NULL,
    rows     INTEGER NOT NULL,               -- of its whole input, like the next
    products INTEGER NOT NULL
) WITHOUT ROWID;

-- The keys of that input: what shares few of them is the file of another job.
CREATE TABLE good_keys (
    account     TEXT NOT NULL DEFAULT '',
    product_key TEXT NOT NULL,
    module_name TEXT NOT NULL COLLATE NOCASE,
    PRIMARY KEY (account, product_key, module_name)
) WITHOUT ROWID;

-- The rows of the input as they stand. A module that was provisioned with another content than its row has
-- now is looked at again.
CREATE VIEW standing AS
SELECT
    r.line, r.account, r.product_key, r.module_name, r.alias_name, r."desc", r.record,
    r.outcome AS outcome_when_read,          -- NULL: the row stands for a module
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
