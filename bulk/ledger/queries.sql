-- name: is_bound
-- Whether an account belongs to its target for good: the platform has accepted a request there. What an outcome other
-- than these two says, a listing has told. Asked only where a run has another target for it, or none.
SELECT
    EXISTS (SELECT 1 FROM attempts WHERE code IS NULL AND account = :account)
    OR EXISTS (SELECT 1 FROM modules WHERE account = :account AND outcome NOT IN ('pending', 'failed'));

-- name: is_bound_of_layout_1
-- The same before accounts had names: asked of a ledger that must not be upgraded if it belongs to another target.
SELECT
    EXISTS (SELECT 1 FROM attempts WHERE code IS NULL)
    OR EXISTS (SELECT 1 FROM modules WHERE outcome NOT IN ('pending', 'failed'));

-- name: note_target
INSERT INTO target (account, dialect, endpoint, instance_id) VALUES (?, ?, ?, ?)
ON CONFLICT (account) DO UPDATE SET
    dialect = excluded.dialect, endpoint = excluded.endpoint, instance_id = excluded.instance_id;

-- name: forget_target
DELETE FROM target WHERE account = ?;

-- name: count_handed_over
-- What `take_over_…` hands from one account to another: all its records, or those of products that are the other's in
-- the rows of the input.
SELECT count(*)
FROM modules
WHERE account = :former AND (:whole OR product_key IN (
    SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir
));

-- name: take_over_1_merged
-- Where both have a record of a module, one stays: that which may have left unseen, else the later one. It keeps what
-- the other knows: that we own the module, what we wrote last, and every doubt.
UPDATE modules SET
    owned = max(modules.owned, other.owned),
    in_doubt = max(modules.in_doubt, other.in_doubt),
    recovered = max(modules.recovered, other.recovered),
    attempts = modules.attempts + other.attempts,
    written_alias = coalesce(modules.written_alias, other.written_alias),
    written_desc = coalesce(modules.written_desc, other.written_desc),
    undone = max(modules.undone, other.undone),
    undone_at = coalesce(max(modules.undone_at, other.undone_at), modules.undone_at, other.undone_at)
FROM modules AS other
WHERE modules.account IN (:former, :heir)
  AND other.account = iif(modules.account = :heir, :former, :heir)
  AND other.product_key = modules.product_key AND other.module_name = modules.module_name
  AND (:whole OR modules.product_key IN (SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir));

-- name: take_over_2_doubled
DELETE FROM modules
WHERE account IN (:former, :heir)
  AND (:whole OR product_key IN (SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir))
  AND EXISTS (
    SELECT 1 FROM modules AS other
    WHERE other.account = iif(modules.account = :heir, :former, :heir)
      AND other.product_key = modules.product_key AND other.module_name = modules.module_name
      AND (other.outcome = 'sending', other.settled_at, other.account = :heir)
        > (modules.outcome = 'sending', modules.settled_at, modules.account = :heir)
);

-- name: take_over_3_modules
UPDATE modules SET account = :heir
WHERE account = :former
  AND (:whole OR product_key IN (SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir));

-- name: take_over_4_claims
UPDATE claims SET account = :heir
WHERE account = :former
  AND (:whole OR product_key IN (SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir));

-- name: take_over_5_attempts
UPDATE attempts SET account = :heir
WHERE account = :former
  AND (:whole OR product_key IN (SELECT product_key FROM rows WHERE outcome IS NULL AND account = :heir));

-- name: take_over_6_planned
-- A plan is one account's: where its products are divided, it stays with the name that is gone, and is never applied.
UPDATE OR REPLACE planned SET account = :heir WHERE account = :former AND :whole;

-- name: take_over_7_plans
UPDATE OR REPLACE plans SET account = :heir WHERE account = :former AND :whole;

-- name: take_over_8_good_syncs
UPDATE OR REPLACE good_syncs SET account = :heir WHERE account = :former AND :whole;

-- name: take_over_9_good_keys
UPDATE OR REPLACE good_keys SET account = :heir WHERE account = :former AND :whole;

-- name: take_over_last_rows
-- So that they are seen as they were before the next input is read.
UPDATE rows SET account = :heir WHERE account = :former AND :whole;

-- name: add_row
-- A valid row as the rows room reads it. Python's sqlite3 takes long over a NULL: an empty text stands for it.
INSERT INTO rows (line, product_key, module_name, alias_name, "desc", record)
VALUES (?, ?, ?, nullif(?, ''), nullif(?, ''), ?);

-- name: add_row_of_account
INSERT INTO rows (account, line, product_key, module_name, alias_name, "desc", record)
VALUES (?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?);

-- name: add_invalid_row
INSERT INTO rows (line, record, outcome, problem_code, message, account)
VALUES (?, ?, 'invalid', nullif(?, ''), ?, ?);

-- name: add_input
INSERT INTO input (name, shape, rows, read_at, run_id) VALUES (?, ?, ?, ?, ?);

-- name: accounts_of_one_target
-- Whether any two accounts with rows have the same target.
SELECT EXISTS (
    SELECT 1
    FROM target
    WHERE EXISTS (SELECT 1 FROM rows WHERE outcome IS NULL AND rows.account = target.account)
    GROUP BY dialect, endpoint, coalesce(instance_id, '')
    HAVING count(*) > 1
);

-- name: mark_shared_products
-- A product that rows give to several accounts of one target is that account's whose line is first: counted for each of
-- them it could come to more than ten modules. Asked only where accounts share a target. The pairs are one walk along
-- the index, and what is sorted are products, not rows.
WITH pairs AS (
    SELECT DISTINCT account, product_key FROM rows WHERE outcome IS NULL
),
shared AS MATERIALIZED (
    SELECT product_key, dialect, endpoint, coalesce(instance_id, '') AS instance
    FROM pairs JOIN target USING (account)
    GROUP BY product_key, dialect, endpoint, instance
    HAVING count(*) > 1
),
claimants AS MATERIALIZED (
    SELECT shared.*, target.account, (
        SELECT min(line) FROM rows
        WHERE rows.outcome IS NULL AND rows.account = target.account AND rows.product_key = shared.product_key
    ) AS first_line
    FROM shared
    JOIN target ON target.dialect = shared.dialect AND target.endpoint = shared.endpoint
        AND coalesce(target.instance_id, '') = shared.instance
),
ranked AS MATERIALIZED (
    SELECT
        product_key, account,
        first_value(account) OVER by_line AS keeper,
        first_value(first_line) OVER by_line AS kept_line
    FROM claimants
    WHERE first_line IS NOT NULL
    WINDOW by_line AS (PARTITION BY product_key, dialect, endpoint, instance ORDER BY first_line)
)
UPDATE rows SET
    outcome = 'invalid',
    problem_code = 'product_key.other_account',
    message = printf(
        'line %d has this ProductKey under account ''%s'', whose endpoint and instance are the same: a product is of '
        || 'one account; correct Account in one of the lines', kept_line, keeper
    )
FROM ranked
WHERE ranked.account <> keeper
  AND rows.outcome IS NULL AND rows.account = ranked.account AND rows.product_key = ranked.product_key;

-- name: mark_repeats
-- The first line of a key stands for the module; later ones are duplicates, or contradict it. A key's first line is
-- looked for where it has several: as an aggregate it would cost every row.
WITH repeated AS (
    SELECT account, product_key, module_name, (
        SELECT min(f.line) FROM rows AS f
        WHERE f.outcome IS NULL
          AND f.account = rows.account AND f.product_key = rows.product_key AND f.module_name = rows.module_name
    ) AS first_line
    FROM rows
    WHERE outcome IS NULL
    GROUP BY account, product_key, module_name
    HAVING count(*) > 1
)
UPDATE rows
SET (outcome, problem_code, message) = (
    SELECT
        iif(same, 'duplicate', 'invalid'),
        iif(same, NULL, 'record.contradicts'),
        iif(same, 'same as line ' || first.line,
            'contradicts line ' || first.line || ', which asks for the same module with another '
            || rtrim(
                iif(rows.module_name COLLATE BINARY = first.module_name, '', 'letter case, ')
                || iif(rows.alias_name IS first.alias_name, '', 'AliasName, ')
                || iif(rows."desc" IS first."desc", '', 'Desc, '), ', ')
            || ': keep one of the two lines')
    FROM (
        SELECT
            f.*,
            rows.module_name COLLATE BINARY = f.module_name
            AND rows.alias_name IS f.alias_name
            AND rows."desc" IS f."desc" AS same
        FROM rows AS f WHERE f.line = repeated.first_line
    ) AS first
)
FROM repeated
WHERE rows.outcome IS NULL
  AND rows.account = repeated.account
  AND rows.product_key = repeated.product_key
  AND rows.module_name = repeated.module_name
  AND rows.line > repeated.first_line;

-- name: next_products
-- The next of the products that a reader walks through: a table of its own, filled in their order.
SELECT rowid, product_key
FROM products
WHERE rowid > :after
ORDER BY rowid
LIMIT :products;

-- name: settled_since
-- What became of modules since then, for a store that may lack it: a claim without an outcome is there already.
SELECT
    m.account, m.product_key, m.module_name, m.alias_name, m."desc", m.outcome, m.code, m.message, m.request_id,
    m.attempts, m.recovered, m.in_doubt, m.settled_at, r.line
FROM modules AS m
LEFT JOIN rows AS r
    ON r.outcome IS NULL
    AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
WHERE m.settled_at >= ? AND m.outcome <> 'sending'
ORDER BY m.settled_at;

-- name: open_rows
-- What may have left of a row in doubt, and when it was last claimed or settled. The open rows of some products of an account, a product after the other, in file order. A claim without an outcome is a run that
-- died: its request may have left. An unknown row is in doubt only if a create of ours may have made its module: it can
-- also be one that was refused because somebody else's has its name, and whose product could then not be listed.
SELECT
    s.product_key, s.line, s.module_name, s.alias_name, s."desc", s.attempts,
    s.in_doubt OR s.outcome = 'sending', s.claimed, s.settled_at
FROM json_each(:product_keys) AS wanted
JOIN standing AS s ON s.account = :account AND s.product_key = wanted.value
WHERE s.outcome_when_read IS NULL AND s.outcome NOT IN ('created', 'updated', 'exists')
ORDER BY wanted.key, s.line;

-- name: record
-- A settlement: the last word on a module, but not on what is ours of it. Python's sqlite3 takes four times as long over
-- a NULL as over a text, so an empty text stands for one where none is ever meant.
INSERT INTO modules (
    account, product_key, module_name, alias_name, "desc", outcome, code, message, request_id,
    attempts, recovered, in_doubt, settled_at, run_id
)
VALUES (?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    module_name = excluded.module_name, alias_name = excluded.alias_name, "desc" = excluded."desc",
    outcome = excluded.outcome, code = excluded.code, message = excluded.message, request_id = excluded.request_id,
    attempts = excluded.attempts, recovered = excluded.recovered, in_doubt = excluded.in_doubt,
    settled_at = excluded.settled_at, run_id = excluded.run_id, claimed = iif(excluded.in_doubt, claimed, NULL),
    owned = iif(excluded.outcome IN ('over_budget', 'deleted'), 0, owned),
    written_alias = iif(excluded.outcome IN ('over_budget', 'deleted'), NULL, written_alias),
    written_desc = iif(excluded.outcome IN ('over_budget', 'deleted'), NULL, written_desc);

-- name: note_ownership
-- What a settlement says of what is ours besides its outcome; NULL: what is known stays.
UPDATE modules
SET owned = coalesce(?, owned), written_alias = coalesce(?, written_alias), written_desc = coalesce(?, written_desc)
WHERE account = ? AND product_key = ? AND module_name = ?;

-- name: record_created
-- The same for a module that we created: nothing that was known of it stays, so it is replaced, in two thirds of the time.
INSERT OR REPLACE INTO modules (
    account, product_key, module_name, alias_name, "desc", outcome, code, message, request_id,
    attempts, recovered, in_doubt, settled_at, run_id, owned, written_alias, written_desc
)
VALUES (?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, ?, ?, ?, ?, 1, ?, ?);

-- name: record_claim
-- The same for a claim, of which less is known. What is to be created was not listed: it is not ours any more.
INSERT INTO modules (
    account, product_key, module_name, alias_name, "desc", outcome, attempts, in_doubt, settled_at, run_id, claimed
)
VALUES (?, ?, ?, ?, ?, 'sending', ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    module_name = excluded.module_name, alias_name = excluded.alias_name, "desc" = excluded."desc",
    outcome = excluded.outcome, code = NULL, message = NULL, request_id = NULL,
    attempts = excluded.attempts, recovered = 0, in_doubt = excluded.in_doubt,
    settled_at = excluded.settled_at, run_id = excluded.run_id, claimed = excluded.claimed,
    owned = iif(excluded.claimed = 'create', 0, owned),
    written_alias = iif(excluded.claimed = 'create', NULL, written_alias),
    written_desc = iif(excluded.claimed = 'create', NULL, written_desc);

-- name: add_claim
-- A claim that replaces what was found; that of a create, which finds nothing, is whole in `modules`.
INSERT INTO claims (
    account, product_key, module_name, kind, wanted_alias, wanted_desc, found_alias, found_desc, line, run_id, at,
    approved, frees_slot_for, awaits_create
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: open_swaps
-- What was deleted for a create that has not been seen to succeed, of some products; of each module the last such claim.
-- Its own create may be in doubt: it was to be made again.
SELECT
    c.product_key, c.module_name, c.found_alias, c.found_desc, c.frees_slot_for, coalesce(m.attempts, 0),
    coalesce((m.in_doubt OR m.outcome = 'sending') AND m.claimed IS 'create', 0), m.settled_at
FROM json_each(:product_keys) AS wanted
JOIN claims AS c ON c.account = :account AND c.product_key = wanted.value AND c.awaits_create = 1
LEFT JOIN modules AS m ON m.account = c.account AND m.product_key = c.product_key AND m.module_name = c.module_name
WHERE NOT EXISTS (
    SELECT 1 FROM claims AS later
    WHERE later.account = c.account AND later.product_key = c.product_key AND later.module_name = c.module_name
      AND later.awaits_create = 1 AND later.id > c.id
)
ORDER BY c.id;

-- name: close_swap
UPDATE claims SET awaits_create = 0
WHERE account = ? AND product_key = ? AND module_name = ? AND awaits_create = 1;

-- name: claims_in_doubt
-- What the claims without an outcome were about. What was found is NULL for a create.
SELECT m.account, m.product_key, m.module_name, m.alias_name, m."desc", m.claimed, c.line, c.found_alias, c.found_desc
FROM modules AS m
LEFT JOIN claims AS c ON c.id = (
    SELECT max(id) FROM claims AS last
    WHERE last.account = m.account AND last.product_key = m.product_key AND last.module_name = m.module_name
      AND last.run_id = m.run_id
) AND m.claimed <> 'create'
WHERE m.outcome = 'sending';

-- name: add_attempt
INSERT INTO attempts (
    run_id, at, action, account, product_key, module_name, http_status, code, failure, request_id, latency_ms
)
VALUES (?, ?, ?, ?, ?, nullif(?, ''), nullif(?, 0), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?);

-- name: oldest_attempts
-- How many of the next attempts are from before a moment, and the last of them.
SELECT count(*), max(id)
FROM (SELECT id, at FROM attempts WHERE id > :after ORDER BY id LIMIT :most)
WHERE at < :before;

-- name: forget_attempts
-- Attempts of a key in doubt stay: they are what an operator has to judge it by. The first one of an account that the
-- platform accepted stays too: it binds the ledger to its target.
DELETE FROM attempts
WHERE id > :after AND id <= :last AND at < :before AND id IS NOT (
    SELECT first.id FROM attempts AS first
    WHERE first.code IS NULL AND first.account = attempts.account
    ORDER BY first.id LIMIT 1
) AND NOT EXISTS (
    SELECT 1 FROM modules AS m
    WHERE m.account = attempts.account AND m.product_key = attempts.product_key
      AND m.module_name = attempts.module_name
      AND (m.in_doubt OR m.outcome IN ('sending', 'unknown'))
);

-- name: oldest_claims
SELECT count(*), max(id)
FROM (SELECT id, at FROM claims WHERE id > :after ORDER BY id LIMIT :most)
WHERE at < :before;

-- name: forget_claims
DELETE FROM claims
WHERE id > :after AND id <= :last AND at < :before AND awaits_create = 0 AND NOT EXISTS (
    SELECT 1 FROM modules AS m
    WHERE m.account = claims.account AND m.product_key = claims.product_key AND m.module_name = claims.module_name
      AND (m.in_doubt OR m.outcome IN ('sending', 'unknown'))
);

-- name: count_outcomes
-- A column for each outcome, in one walk: to group a million rows by so few values would sort them first, which fills the
-- cache twice. LIMIT keeps the two queries apart; merged, they would work out each row's outcome for every column.
SELECT
    count(*) FILTER (WHERE outcome = 'pending') AS pending,
    count(*) FILTER (WHERE outcome = 'sending') AS sending,
    count(*) FILTER (WHERE outcome = 'created') AS created,
    count(*) FILTER (WHERE outcome = 'updated') AS updated,
    count(*) FILTER (WHERE outcome = 'exists') AS "exists",
    count(*) FILTER (WHERE outcome = 'duplicate') AS duplicate,
    count(*) FILTER (WHERE outcome = 'drifted') AS drifted,
    count(*) FILTER (WHERE outcome = 'moved') AS moved,
    count(*) FILTER (WHERE outcome = 'withheld') AS withheld,
    count(*) FILTER (WHERE outcome = 'over_budget') AS over_budget,
    count(*) FILTER (WHERE outcome = 'invalid') AS invalid,
    count(*) FILTER (WHERE outcome = 'failed') AS failed,
    count(*) FILTER (WHERE outcome = 'unknown') AS unknown
FROM (
    SELECT outcome FROM rows WHERE outcome IS NOT NULL
    UNION ALL
    SELECT outcome FROM standing WHERE outcome_when_read IS NULL
    LIMIT -1
);

-- name: count_outcomes_by_account
-- The same for each account, NULL where a row does not say whose it is. Both halves are grouped in the order of their
-- index; what is left to sort is a group for each account and kind of problem.
SELECT
    account,
    sum(pending) AS pending,
    sum(sending) AS sending,
    sum(created) AS created,
    sum(updated) AS updated,
    sum("exists") AS "exists",
    sum(duplicate) AS duplicate,
    sum(drifted) AS drifted,
    sum(moved) AS moved,
    sum(withheld) AS withheld,
    sum(over_budget) AS over_budget,
    sum(invalid) AS invalid,
    sum(failed) AS failed,
    sum(unknown) AS unknown
FROM (
    SELECT
        account,
        count(*) FILTER (WHERE outcome = 'pending') AS pending,
        count(*) FILTER (WHERE outcome = 'sending') AS sending,
        count(*) FILTER (WHERE outcome = 'created') AS created,
        count(*) FILTER (WHERE outcome = 'updated') AS updated,
        count(*) FILTER (WHERE outcome = 'exists') AS "exists",
        0 AS duplicate,
        count(*) FILTER (WHERE outcome = 'drifted') AS drifted,
        count(*) FILTER (WHERE outcome = 'moved') AS moved,
        count(*) FILTER (WHERE outcome = 'withheld') AS withheld,
        count(*) FILTER (WHERE outcome = 'over_budget') AS over_budget,
        0 AS invalid,
        count(*) FILTER (WHERE outcome = 'failed') AS failed,
        count(*) FILTER (WHERE outcome = 'unknown') AS unknown
    FROM standing
    WHERE outcome_when_read IS NULL
    GROUP BY account
    UNION ALL
    SELECT
        account, 0, 0, 0, 0, 0, count(*) FILTER (WHERE outcome = 'duplicate'), 0, 0, 0, 0,
        count(*) FILTER (WHERE outcome = 'invalid'), 0, 0
    FROM rows
    WHERE outcome IS NOT NULL
    GROUP BY outcome, problem_code, account
)
GROUP BY account
ORDER BY account;

-- name: accounts_with_rows
-- Step by step along the index, from each account to the next.
WITH RECURSIVE found (account) AS (
    SELECT min(account) FROM rows WHERE outcome IS NULL
    UNION ALL
    SELECT (SELECT min(account) FROM rows WHERE outcome IS NULL AND account > found.account)
    FROM found
    WHERE account IS NOT NULL
)
SELECT account FROM found WHERE account IS NOT NULL;

-- name: count_absent
-- Modules that an earlier input asked for and this one does not, and that the platform may still have.
SELECT count(*)
FROM modules AS m
WHERE m.outcome <> 'deleted' AND NOT EXISTS (
    SELECT 1 FROM rows AS r
    WHERE r.outcome IS NULL
      AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
);

-- name: count_absent_by_account
-- The same for each account, in the order of the modules.
SELECT account, count(*)
FROM modules AS m
WHERE NOT EXISTS (
    SELECT 1 FROM rows AS r
    WHERE r.outcome IS NULL
      AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
)
GROUP BY account;

-- name: reasons
-- Why rows are not provisioned, most frequent first. Invalid rows are grouped by the kind of their problem.
-- What is not counted is that of the line with the least number.
SELECT outcome, problem_code AS code, count(*) AS rows, min(line) AS example_line, message, account
FROM rows
WHERE outcome = 'invalid'
GROUP BY outcome, problem_code
UNION ALL
SELECT outcome, code, count(*), min(line), message, account
FROM standing
WHERE outcome_when_read IS NULL AND outcome NOT IN ('created', 'updated', 'exists', 'pending', 'sending')
GROUP BY outcome, code
ORDER BY rows DESC, example_line;

-- name: reasons_of_account
-- As `reasons`, of one account: its rows alone are walked along.
SELECT outcome, problem_code AS code, count(*) AS rows, min(line) AS example_line, message, account
FROM rows
WHERE outcome = 'invalid' AND account = :account
GROUP BY outcome, problem_code
UNION ALL
SELECT outcome, code, count(*), min(line), message, account
FROM standing
WHERE outcome_when_read IS NULL AND account = :account
  AND outcome NOT IN ('created', 'updated', 'exists', 'pending', 'sending')
GROUP BY outcome, code
ORDER BY rows DESC, example_line;

-- name: results
-- The rows in the input's order; :outcomes is a JSON array, or NULL for all.
SELECT
    line, record, product_key, module_name, alias_name, "desc",
    outcome, code, message, request_id, attempts, recovered, settled_at, account
FROM standing
WHERE :outcomes IS NULL OR outcome IN (SELECT value FROM json_each(:outcomes))
ORDER BY line
LIMIT :limit;

-- name: crowded_products
-- Products of an account that ask for more modules than one may have.
SELECT product_key, count(*)
FROM rows
WHERE outcome IS NULL AND account = :account
GROUP BY product_key
HAVING count(*) > :most
ORDER BY min(line);

-- name: open_products
-- An account's products with open rows, in the order of their first line, and how many each has; last those of which all have failed
-- before, so that many that fail alike, which stop a run, don't keep others waiting in every run. One walk along the rows
-- and the modules in their common order. To ask product by product in file order costs many times as much.
SELECT product_key, count(*) FILTER (WHERE outcome NOT IN ('created', 'updated', 'exists')) AS open_rows
FROM standing
WHERE outcome_when_read IS NULL AND account = :account
GROUP BY product_key
HAVING open_rows > 0
ORDER BY count(*) FILTER (WHERE outcome = 'failed') = open_rows, min(line);

-- name: open_products_of_accounts
-- The same of some accounts, in one order over all of them.
SELECT account, product_key, count(*) FILTER (WHERE outcome NOT IN ('created', 'updated', 'exists')) AS open_rows
FROM standing
WHERE outcome_when_read IS NULL AND account IN (SELECT value FROM json_each(:accounts))
GROUP BY account, product_key
HAVING open_rows > 0
ORDER BY count(*) FILTER (WHERE outcome = 'failed') = open_rows, min(line);

-- name: count_open_products
SELECT count(DISTINCT product_key)
FROM standing
WHERE outcome_when_read IS NULL AND account = :account AND outcome NOT IN ('created', 'updated', 'exists');

-- name: begin_run
INSERT INTO runs (run_id, started_at, pid, host, version, input, rates, user)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: name_command
UPDATE runs SET command = ?, applied = ? WHERE run_id = ?;

-- name: end_run
UPDATE runs SET ended_at = ?, exit_code = ?, stopped = ?, summary = ? WHERE run_id = ?;

-- name: count_tables
-- What is in the file, and whether the tables that every version of a ledger has are among it.
SELECT count(*), count(*) FILTER (WHERE type = 'table' AND name IN ('target', 'runs')) = 2 FROM sqlite_schema;

-- name: holder
-- The last run, if it has no end: it is at work, or died.
SELECT run_id, started_at, pid, host
FROM (SELECT * FROM runs ORDER BY rowid DESC LIMIT 1)
WHERE ended_at IS NULL;

-- name: runs
SELECT
    run_id, started_at, ended_at, pid, host, version, input,
    json_extract(rates, '$.create') AS create_per_s, json_extract(rates, '$.list') AS list_per_s,
    exit_code, stopped, summary, command, applied, user
FROM runs
ORDER BY rowid;

-- name: spans
-- The last runs that sent anything, the last first: between which seconds, and how much.
SELECT
    run_id,
    CAST(strftime('%s', min(at)) AS INTEGER),
    CAST(strftime('%s', max(at)) AS INTEGER),
    count(*)
FROM attempts
GROUP BY run_id
ORDER BY max(id) DESC
LIMIT :runs;

-- name: traffic
-- What some runs sent, by slot of time, latency and action. :windows is a JSON array of [run_id, first second, seconds a slot].
-- Latencies keep two digits: so few groups are left that a million attempts need no memory, and percentiles are right
-- within 5%.
WITH windows AS MATERIALIZED (
    SELECT
        key AS number,
        json_extract(value, '$[0]') AS run_id,
        json_extract(value, '$[1]') AS start_s,
        json_extract(value, '$[2]') AS slot_s
    FROM json_each(:windows)
)
SELECT
    number,
    (strftime('%s', at) - start_s) / slot_s AS slot,
    CASE
        WHEN latency_ms < 10 THEN round(latency_ms, 1)
        WHEN latency_ms < 100 THEN round(latency_ms)
        WHEN latency_ms < 1000 THEN round(latency_ms / 10) * 10
        WHEN latency_ms < 10000 THEN round(latency_ms / 100) * 100
        ELSE round(latency_ms / 1000) * 1000
    END AS about_ms,
    action,
    count(*)
FROM attempts
JOIN windows USING (run_id)
GROUP BY number, slot, about_ms, action
ORDER BY number, slot, about_ms, action;

-- name: pulse
-- What was sent since a moment, looking no further back than so many attempts.
SELECT action, code, account, count(*)
FROM (SELECT at, action, code, account FROM attempts ORDER BY id DESC LIMIT :most)
WHERE at >= :since
GROUP BY action, code, account;

-- name: account_traffic
-- What some runs sent for each account; :runs is a JSON array of their ids.
WITH wanted AS MATERIALIZED (
    SELECT key AS number, value AS run_id FROM json_each(:runs)
)
SELECT number, account, action, count(*), count(code), count(*) FILTER (WHERE failure = 'throttled')
FROM attempts
JOIN wanted USING (run_id)
GROUP BY number, account, action
ORDER BY number, account, action;

-- name: failed_attempts
-- The attempts of some runs that did not succeed, by slot of time; :windows as of `traffic`.
WITH windows AS MATERIALIZED (
    SELECT
        key AS number,
        json_extract(value, '$[0]') AS run_id,
        json_extract(value, '$[1]') AS start_s,
        json_extract(value, '$[2]') AS slot_s
    FROM json_each(:windows)
)
SELECT number, (strftime('%s', at) - start_s) / slot_s AS slot, code, http_status, count(*), failure
FROM attempts
JOIN windows USING (run_id)
WHERE code IS NOT NULL
GROUP BY number, slot, code, http_status, failure;

-- name: over_budget_products
-- Products with rows that get no slot, most rows first; the first such row's message says who holds the slots.
SELECT product_key, count(*) AS rows, min(line) AS first_line, message, account
FROM standing
WHERE outcome_when_read IS NULL AND outcome = 'over_budget'
GROUP BY account, product_key
ORDER BY rows DESC, first_line
LIMIT :products;

-- name: scope_products
-- The products that a sync looks at, in the order of their first line. in_scope() is the reader's own.
SELECT product_key
FROM rows
WHERE outcome IS NULL AND account = :account AND in_scope(product_key)
GROUP BY product_key
ORDER BY min(line);

-- name: add_product_besides
-- Where nothing is ours there is nothing to delete; and it may be another account's product.
INSERT INTO temp.products
SELECT :product_key
WHERE NOT EXISTS (SELECT 1 FROM temp.products WHERE product_key = :product_key)
  AND EXISTS (SELECT 1 FROM modules WHERE account = :account AND product_key = :product_key AND owned);

-- name: is_unknown_product
SELECT NOT EXISTS (SELECT 1 FROM modules WHERE product_key = ?);

-- name: look_rows
-- The rows of some products, a product after the other, in file order, with what the ledger says of them. What our
-- update replaced is asked only where that update is in doubt.
SELECT
    s.product_key, s.line, s.module_name, s.alias_name, s."desc", s.attempts,
    s.in_doubt OR s.outcome = 'sending', s.claimed, s.settled_at, s.outcome, s.message,
    iif(s.as_recorded, s.undone, 0), s.undone_at,
    iif(s.as_recorded AND s.outcome = 'failed' AND s.attempts > 0, s.code, NULL),
    iif(s.claimed = 'update', (
        SELECT c.found_alias FROM claims AS c
        WHERE c.account = :account AND c.product_key = s.product_key AND c.module_name = s.module_name
        ORDER BY c.id DESC LIMIT 1
    ), NULL),
    iif(s.claimed = 'update', (
        SELECT c.found_desc FROM claims AS c
        WHERE c.account = :account AND c.product_key = s.product_key AND c.module_name = s.module_name
        ORDER BY c.id DESC LIMIT 1
    ), NULL)
FROM json_each(:product_keys) AS wanted
JOIN standing AS s ON s.account = :account AND s.product_key = wanted.value
WHERE s.outcome_when_read IS NULL
ORDER BY wanted.key, s.line;

-- name: owned_modules
-- What is ours of some products, also what no row asks for.
SELECT
    m.product_key, m.module_name, m.written_alias, m.written_desc, m.outcome, m.code,
    (m.in_doubt OR m.outcome = 'sending') AND m.claimed IS 'delete', m.attempts
FROM json_each(:product_keys) AS wanted
JOIN modules AS m ON m.account = :account AND m.product_key = wanted.value
WHERE m.owned
ORDER BY wanted.key;

-- name: approved_table
CREATE TEMP TABLE approved (
    account TEXT, product_key TEXT, module_name TEXT, kind TEXT, wanted_alias TEXT, wanted_desc TEXT,
    found_name TEXT, found_alias TEXT, found_desc TEXT, line INTEGER, withheld TEXT, frees_slot_for TEXT,
    PRIMARY KEY (product_key, module_name)
);

-- name: add_approved
INSERT OR IGNORE INTO temp.approved VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: approved_of
SELECT * FROM temp.approved WHERE product_key = ?;

-- name: begin_plan
INSERT INTO plans (account, run_id, made_at, input, input_sha256, flags) VALUES (?, ?, ?, ?, ?, ?);

-- name: forget_plans
-- A new plan (?3) takes the place of all before; one of a part, of those of the same part. Of a finished one the
-- record stays.
DELETE FROM plans WHERE account = ?1 AND finished_at IS NULL AND (?2 IS NULL OR flags = ?2) AND run_id <> ?3;

-- name: forget_planned
-- What was adopted since a moment (?2) stays: it counts among what a night has done.
DELETE FROM planned WHERE account = ?1 AND run_id NOT IN (
    SELECT run_id FROM plans WHERE account = ?1 AND finished_at IS NULL
) AND NOT (
    adopted AND withheld IS NULL AND run_id IN (SELECT run_id FROM runs WHERE started_at >= ?2)
);

-- name: forget_old_plans
DELETE FROM plans WHERE coalesce(finished_at, made_at) < ?;

-- name: forget_planned_of_no_plan
DELETE FROM planned WHERE (account, run_id) NOT IN (SELECT account, run_id FROM plans)
    AND run_id NOT IN (SELECT run_id FROM runs WHERE started_at >= ?);

-- name: plan_change
INSERT OR REPLACE INTO planned (
    account, run_id, product_key, module_name, kind, wanted_alias, wanted_desc, found_name, found_alias, found_desc,
    found_made, line, adopted, withheld, frees_slot_for, lifted
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: withhold_kind
-- A whole kind of change waits for a person; adopting counts as an update.
UPDATE planned SET withheld = ?
WHERE account = ? AND run_id = ? AND kind = ? AND withheld IS NULL AND state = 'open';

-- name: withhold_swapped
-- What needs the slot of a delete that waits waits too.
UPDATE planned SET withheld = 'needs_delete'
WHERE account = ?1 AND run_id = ?2 AND kind = 'create' AND withheld IS NULL AND state = 'open'
  AND (product_key, module_name) IN (
    SELECT product_key, frees_slot_for COLLATE NOCASE FROM planned
    WHERE account = ?1 AND run_id = ?2 AND kind = 'delete' AND withheld IS NOT NULL AND frees_slot_for IS NOT NULL
);

-- name: withhold_change
UPDATE planned SET withheld = ? WHERE account = ? AND run_id = ? AND product_key = ? AND module_name = ?;

-- name: end_planned
UPDATE planned SET state = ? WHERE account = ? AND run_id = ? AND product_key = ? AND module_name = ?;

-- name: adopt_planned
-- What was found as its row wants it is ours from now on, with the texts that it has.
UPDATE modules SET owned = 1, written_alias = coalesce(p.found_alias, ''), written_desc = coalesce(p.found_desc, '')
FROM planned AS p
WHERE p.account = ?1 AND p.run_id = ?2 AND p.adopted AND p.withheld IS NULL
  AND modules.account = p.account AND modules.product_key = p.product_key AND modules.module_name = p.module_name;

-- name: names_of_ours
-- What is ours of some products.
SELECT m.product_key, m.module_name
FROM json_each(:product_keys) AS wanted
JOIN modules AS m ON m.account = :account AND m.product_key = wanted.value
WHERE m.owned;

-- name: end_ownership
-- A listing does not show the module. A delete of ours that may have been carried out unseen was, then.
UPDATE modules SET
    owned = 0, written_alias = NULL, written_desc = NULL,
    recovered = iif((in_doubt OR outcome = 'sending') AND claimed IS 'delete', 1, recovered),
    outcome = iif((in_doubt OR outcome = 'sending') AND claimed IS 'delete', 'deleted', outcome),
    in_doubt = iif(claimed IS 'delete', 0, in_doubt),
    claimed = iif(claimed IS 'delete', NULL, claimed)
WHERE account = ? AND product_key = ? AND module_name = ?;

-- name: count_undone
UPDATE modules SET undone = ?, undone_at = ? WHERE account = ? AND product_key = ? AND module_name = ?;

-- name: planned_products
SELECT product_key, count(*) AS changes FROM planned
WHERE account = :account AND run_id = :run_id AND withheld IS NULL AND NOT adopted AND state = 'open'
GROUP BY product_key
ORDER BY coalesce(min(line), 9223372036854775807);

-- name: planned_work
SELECT
    p.product_key, p.module_name, p.kind, p.wanted_alias, p.wanted_desc, p.found_name, p.found_alias, p.found_desc,
    p.found_made, p.line, p.frees_slot_for, p.lifted, r.alias_name, r."desc", coalesce(m.attempts, 0),
    coalesce(m.in_doubt OR m.outcome = 'sending', 0), m.claimed, m.settled_at
FROM json_each(:product_keys) AS wanted
JOIN planned AS p ON p.account = :account AND p.run_id = :run_id AND p.product_key = wanted.value
LEFT JOIN rows AS r ON r.line = p.line
LEFT JOIN modules AS m ON m.account = p.account AND m.product_key = p.product_key AND m.module_name = p.module_name
WHERE p.withheld IS NULL AND NOT p.adopted AND p.state = 'open'
ORDER BY wanted.key, coalesce(p.line, 9223372036854775807), p.module_name;

-- name: planned_entries
SELECT
    account, product_key, module_name, iif(adopted, 'adopt', kind), wanted_alias, wanted_desc,
    found_name, found_alias, found_desc, line, withheld, frees_slot_for
FROM planned
WHERE run_id = :run_id AND (withheld IS NOT NULL OR NOT :only_withheld)
  AND (:kind IS NULL OR iif(adopted, 'adopt', kind) = :kind)
ORDER BY account, product_key, coalesce(line, 9223372036854775807), module_name;

-- name: count_planned
-- What waits among it is counted by its reason.
SELECT iif(adopted, 'adopt', kind) AS what, withheld, count(*)
FROM planned
WHERE run_id = ?
GROUP BY what, withheld
ORDER BY what, withheld;

-- name: withheld_rows
-- Rows whose change waits for a person, unless the ledger says so already.
SELECT p.line, p.product_key, r.module_name, r.alias_name, r."desc", p.kind, p.withheld, p.found_alias, p.found_desc,
    coalesce(m.attempts, 0), coalesce(m.in_doubt OR m.outcome = 'sending', 0), m.claimed, m.settled_at
FROM planned AS p
JOIN rows AS r ON r.line = p.line
LEFT JOIN modules AS m ON m.account = p.account AND m.product_key = p.product_key AND m.module_name = p.module_name
WHERE p.account = :account AND p.run_id = :run_id AND p.withheld IS NOT NULL AND NOT p.adopted
  AND (m.outcome IS NOT 'withheld' OR m.code IS NOT p.withheld)
  AND p.line > :after
ORDER BY p.line
LIMIT 500;

-- name: count_withheld
SELECT kind, withheld, adopted, count(*) FROM planned
WHERE account = ? AND run_id = ? AND withheld IS NOT NULL AND state = 'open'
GROUP BY kind, withheld, adopted;

-- name: pending_approvals
-- What waits for a person, by account: of each account's last plan.
SELECT p.account, p.run_id, p.made_at, iif(c.adopted, 'adopt', c.kind), c.withheld, count(*)
FROM plans AS p
JOIN planned AS c ON c.account = p.account AND c.run_id = p.run_id
WHERE p.finished_at IS NULL AND c.withheld IS NOT NULL AND c.state = 'open'
GROUP BY p.account, p.run_id, c.kind, c.adopted, c.withheld
ORDER BY p.account, c.kind, c.adopted, c.withheld;

-- name: cut_off_apply
-- The plan of the last run, if that is an apply without an end of its own, and what it had not carried out yet.
SELECT last.applied, (
    SELECT count(*) FROM planned WHERE run_id = last.run_id AND withheld IS NULL AND state = 'open' AND NOT adopted
)
FROM (SELECT * FROM runs ORDER BY rowid DESC LIMIT 1) AS last
WHERE last.command = 'apply' AND (last.exit_code IS NULL OR last.exit_code IN (3, 130, 143))
  AND NOT EXISTS (SELECT 1 FROM plans WHERE run_id = last.applied AND finished_at IS NOT NULL);

-- name: waiting_changes
-- The first changes of each kind that wait for a person, module by module; deletes before all others.
SELECT account, product_key, module_name, kind, found_alias, found_desc, wanted_alias, wanted_desc, line, withheld
FROM (
    SELECT
        c.account, c.product_key, c.module_name, c.found_alias, c.found_desc, c.wanted_alias, c.wanted_desc, c.line,
        c.withheld, iif(c.adopted, 'adopt', c.kind) AS kind,
        row_number() OVER (
            PARTITION BY c.kind, c.adopted
            ORDER BY c.account, coalesce(c.line, 9223372036854775807), c.product_key, c.module_name
        ) AS number
    FROM plans AS p
    JOIN planned AS c ON c.account = p.account AND c.run_id = p.run_id
    WHERE p.finished_at IS NULL AND c.withheld IS NOT NULL AND c.state = 'open'
)
WHERE number <= :changes
ORDER BY kind <> 'delete', kind <> 'update', kind <> 'create', number;

-- name: changes_made
-- The first updates and deletes of each kind that a run sent, each with what it replaced; deletes first.
SELECT account, product_key, module_name, kind, found_alias, found_desc, wanted_alias, wanted_desc, line, NULL
FROM (
    SELECT c.*, row_number() OVER (PARTITION BY kind ORDER BY id) AS number
    FROM claims AS c
    WHERE run_id = :run AND kind <> 'create' AND NOT EXISTS (
        SELECT 1 FROM claims AS earlier
        WHERE earlier.account = c.account AND earlier.product_key = c.product_key
          AND earlier.module_name = c.module_name AND earlier.run_id = c.run_id AND earlier.id < c.id
    )
)
WHERE number <= :changes
ORDER BY kind, number;

-- name: surplus_by_reason
-- Modules of ours that left the file and stay, the most frequent reason first, each with an example.
SELECT coalesce(m.code, 'unknown') AS reason, count(*) AS modules, min(m.product_key), m.module_name, m.account
FROM modules AS m
WHERE m.outcome = 'surplus' AND m.owned AND NOT EXISTS (
    SELECT 1 FROM rows AS r
    WHERE r.outcome IS NULL
      AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
)
GROUP BY reason
ORDER BY modules DESC, reason;

-- name: surplus_of_gone_products
-- What is ours of products that no row names and nobody asks to prune: counted without a look.
UPDATE modules SET
    outcome = 'surplus', code = 'product_gone', message = 'no valid row names its product', settled_at = ?1, run_id = ?2
WHERE account = ?3 AND owned AND NOT in_doubt AND outcome <> 'sending'
  AND (outcome <> 'surplus' OR code IS NOT 'product_gone')
  AND product_key NOT IN (SELECT value FROM json_each(?4))
  AND NOT EXISTS (SELECT 1 FROM rows AS r WHERE r.outcome IS NULL AND r.account = ?3 AND r.product_key = modules.product_key);

-- name: count_surplus
SELECT m.account, m.code, count(*)
FROM modules AS m
WHERE m.outcome = 'surplus' AND m.owned AND NOT EXISTS (
    SELECT 1 FROM rows AS r
    WHERE r.outcome IS NULL
      AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
)
GROUP BY m.account, m.code;

-- name: count_contested
-- Rows whose update is no longer sent, as somebody undoes it every night.
SELECT account, count(*)
FROM standing
WHERE outcome_when_read IS NULL AND outcome = 'drifted' AND code = 'contested'
GROUP BY account;

-- name: guard_figures
SELECT
    (SELECT count(*) FROM planned WHERE account = :account AND run_id = :run_id AND kind = 'update'),
    (SELECT count(*) FROM planned WHERE account = :account AND run_id = :run_id AND kind = 'delete'),
    (SELECT count(*) FROM (
        SELECT c.product_key, c.module_name FROM claims AS c
        WHERE c.account = :account AND c.kind = 'update' AND c.at >= :since AND NOT c.approved
        UNION
        SELECT a.product_key, a.module_name FROM planned AS a
        WHERE a.account = :account AND a.adopted AND a.withheld IS NULL AND a.run_id IN (
            SELECT run_id FROM runs WHERE started_at >= :since AND command <> 'apply')
     ) AS c WHERE NOT EXISTS (
        SELECT 1 FROM planned AS p WHERE p.account = :account AND p.run_id = :run_id AND p.kind = 'update'
          AND p.product_key = c.product_key AND p.module_name = c.module_name)),
    (SELECT count(DISTINCT c.product_key || '/' || lower(c.module_name)) FROM claims AS c
     WHERE c.account = :account AND c.kind = 'delete' AND c.at >= :since AND NOT c.approved AND NOT EXISTS (
        SELECT 1 FROM planned AS p WHERE p.account = :account AND p.run_id = :run_id AND p.kind = 'delete'
          AND p.product_key = c.product_key AND p.module_name = c.module_name)),
    (SELECT count(*) FROM modules WHERE account = :account AND outcome <> 'deleted')
    + (SELECT count(*) FROM rows AS r WHERE r.outcome IS NULL AND r.account = :account AND NOT EXISTS (
        SELECT 1 FROM modules AS m
        WHERE m.account = :account AND m.product_key = r.product_key AND m.module_name = r.module_name)),
    (SELECT count(*) FROM modules WHERE account = :account AND owned),
    (SELECT count(*) FROM rows WHERE outcome IS NULL AND account = :account),
    (SELECT count(DISTINCT product_key) FROM rows WHERE outcome IS NULL AND account = :account),
    (SELECT rows FROM good_syncs WHERE account = :account),
    (SELECT products FROM good_syncs WHERE account = :account);

-- name: invalid_records
-- Rows that stand for no module, with what is known of their product.
SELECT line, product_key, record FROM rows
WHERE outcome = 'invalid' AND (account IS :account OR account IS NULL);

-- name: is_known_product
SELECT EXISTS (SELECT 1 FROM rows WHERE outcome IS NULL AND account = :account AND product_key = :product_key)
    OR EXISTS (SELECT 1 FROM modules WHERE account = :account AND product_key = :product_key);

-- name: last_input_finished
-- Whether the run that read the rows came to its end. A later run may have been refused, and has left them as they were.
SELECT exit_code IN (0, 1) AND stopped IS NULL FROM runs JOIN input USING (run_id);

-- name: note_first_good_syncs
-- Before the first good sync, the input of the last finished run counts.
INSERT OR IGNORE INTO good_syncs (account, run_id, at, rows, products)
SELECT account, ?, ?, count(*), count(DISTINCT product_key) FROM rows
WHERE outcome IS NULL GROUP BY account;

-- name: note_first_good_keys
INSERT OR IGNORE INTO good_keys SELECT account, product_key, module_name FROM rows WHERE outcome IS NULL;

-- name: compare_keys
-- For each account the keys of the input, those of the last good one, and how many are in both.
SELECT account, sum(keys), sum(good), sum(common)
FROM (
    SELECT account, count(*) AS keys, 0 AS good, 0 AS common FROM rows WHERE outcome IS NULL GROUP BY account
    UNION ALL
    SELECT account, 0, count(*), count(*) FILTER (WHERE EXISTS (
        SELECT 1 FROM rows AS r WHERE r.outcome IS NULL
          AND r.account = g.account AND r.product_key = g.product_key AND r.module_name = g.module_name))
    FROM good_keys AS g
    GROUP BY account
)
GROUP BY account;

-- name: note_good_sync
-- How long the input is, is noted only where nobody has to approve it first.
INSERT INTO good_syncs (account, run_id, at, rows, products)
SELECT :account, :run_id, :at, count(*), count(DISTINCT product_key)
FROM rows WHERE outcome IS NULL AND account = :account
ON CONFLICT (account) DO UPDATE SET
    run_id = excluded.run_id, at = excluded.at,
    rows = iif(:also_shorter, excluded.rows, rows), products = iif(:also_shorter, excluded.products, products);

-- name: forget_good_keys
DELETE FROM good_keys WHERE account = ?1 AND NOT EXISTS (
    SELECT 1 FROM rows AS r WHERE r.outcome IS NULL
      AND r.account = ?1 AND r.product_key = good_keys.product_key AND r.module_name = good_keys.module_name);

-- name: note_good_keys
INSERT INTO good_keys
SELECT account, product_key, module_name FROM rows AS r
WHERE r.outcome IS NULL AND r.account = ?1 AND NOT EXISTS (
    SELECT 1 FROM good_keys AS g
    WHERE g.account = ?1 AND g.product_key = r.product_key AND g.module_name = r.module_name);

-- name: first_products
-- Products of some accounts, in the input's order.
SELECT account, product_key FROM rows
WHERE outcome IS NULL AND account IN (SELECT value FROM json_each(:accounts))
GROUP BY account, product_key
ORDER BY min(line);

-- name: first_and_last_run
-- Apart from one that only this copy of the ledger knows.
SELECT
    (SELECT run_id FROM runs WHERE run_id <> ?1 ORDER BY rowid LIMIT 1),
    (SELECT run_id FROM runs WHERE run_id <> ?1 ORDER BY rowid DESC LIMIT 1);

-- name: is_of_ledger
-- Whether the ledger began with that run, and knows the other one; NULL: of that one nothing is known.
SELECT
    :first IS NULL OR :first IS (SELECT run_id FROM runs ORDER BY rowid LIMIT 1),
    :last IS NULL OR EXISTS (SELECT 1 FROM runs WHERE run_id = :last);

-- name: count_planned_rows
-- Rows with a change that may go.
SELECT count(*) FROM planned WHERE run_id = ? AND line IS NOT NULL AND NOT adopted AND withheld IS NULL;

-- name: note_applied
INSERT INTO plans (account, run_id, made_at, finished_at, applied_by, input, input_sha256, flags)
VALUES (?1, ?2, ?3, ?3, ?4, ?5, '', '{}')
ON CONFLICT DO UPDATE SET finished_at = excluded.finished_at, applied_by = excluded.applied_by;

-- name: is_finished_plan
SELECT EXISTS (SELECT 1 FROM plans WHERE run_id = ? AND finished_at IS NOT NULL);

-- name: results_without_row
-- Modules that were ours and that no row asks for: deleted, or left on the platform for a reason. The record is that of
-- another row of the product, if there is one: where a map gave the product its key here, it has the source's.
SELECT
    coalesce((
        SELECT r.record FROM rows AS r
        WHERE r.outcome IS NULL AND r.account = m.account AND r.product_key = m.product_key
        LIMIT 1
    ), ''),
    m.product_key, m.module_name, coalesce(m.written_alias, m.alias_name), coalesce(m.written_desc, m."desc"),
    m.outcome, m.code, m.message, m.request_id, m.attempts, m.recovered, m.settled_at, m.account
FROM modules AS m
WHERE m.outcome IN ('deleted', 'surplus')
  AND (:outcomes IS NULL OR m.outcome IN (SELECT value FROM json_each(:outcomes)))
  AND NOT EXISTS (
    SELECT 1 FROM rows AS r
    WHERE r.outcome IS NULL
      AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
)
ORDER BY m.account, m.product_key, m.module_name;

-- name: last_changing_run
SELECT run_id FROM claims WHERE run_id LIKE :run || '%' ORDER BY id DESC LIMIT 1;

-- name: undo
-- What the updates and deletes of a run replaced, as it was before the first of them.
SELECT c.account, c.product_key, c.module_name, c.kind, c.wanted_alias, c.wanted_desc, c.found_alias, c.found_desc
FROM claims AS c
WHERE c.run_id = :run AND c.kind <> 'create' AND NOT EXISTS (
    SELECT 1 FROM claims AS earlier
    WHERE earlier.account = c.account AND earlier.product_key = c.product_key
      AND earlier.module_name = c.module_name AND earlier.run_id = c.run_id AND earlier.id < c.id
)
ORDER BY c.id;

-- name: merge_created
-- The last word on a module that a run of the fleet created; see `record_created`. What the last two columns have is what
-- was sent: an empty text where the row says nothing.
INSERT OR REPLACE INTO modules (
    outcome, owned, account, product_key, module_name, alias_name, "desc", request_id, attempts, recovered, in_doubt,
    settled_at, run_id, written_alias, written_desc
)
VALUES ('created', 1, ?1, ?2, ?3, nullif(?4, ''), nullif(?5, ''), nullif(?6, ''), ?7, ?8, ?9, ?10, ?11, ?4, ?5);

-- name: merge_word
-- The last word on any other.
INSERT OR REPLACE INTO modules (
    run_id, account, product_key, module_name, alias_name, "desc", request_id, attempts, recovered, in_doubt, settled_at,
    outcome, code, message, claimed, owned
)
SELECT
    run_id, ?1, ?2, ?3, nullif(?4, ''), nullif(?5, ''), nullif(?6, ''), ?7, ?8, ?9, ?10, ?11, nullif(?12, ''),
    nullif(?13, ''), iif(?11 = 'sending' OR ?9, 'create', NULL), iif(?14 = '', 0, ?14)
FROM runs;

-- name: count_of_rows
-- Modules that a row of the input stands for, in one walk along both.
SELECT count(*)
FROM modules AS m
CROSS JOIN rows AS r INDEXED BY rows_by_key
    ON r.outcome IS NULL
    AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name;

-- name: strange_word
-- The first module that no row of the input stands for.
SELECT m.account, m.product_key, m.module_name
FROM modules AS m
LEFT JOIN rows AS r
    ON r.outcome IS NULL
    AND r.account = m.account AND r.product_key = m.product_key AND r.module_name = m.module_name
WHERE r.line IS NULL
LIMIT 1;

-- name: count_merged
-- Rows by outcome, where each module is of a row and as it wants it; NULL: those without a word.
SELECT outcome, count(*) FROM modules GROUP BY outcome
UNION ALL
SELECT outcome, count(*) FROM rows WHERE outcome IS NOT NULL GROUP BY outcome;

-- name: shared_product
-- A row whose product another account of the same target has too.
SELECT line, message FROM rows WHERE outcome = 'invalid' AND problem_code = 'product_key.other_account' LIMIT 1;

-- name: is_merge_of
-- Whether all that a ledger records is one merge: nothing of it is lost when it is made anew.
SELECT count(*) = 1 AND min(run_id) = ? AND min(command) = 'merge' FROM runs;
