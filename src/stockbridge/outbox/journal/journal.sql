-- name: lock_counter
-- Makes the counter if it is new, and locks it: numbers are taken one after the other.
INSERT INTO control_counter AS c (system, counter)
VALUES (%(system)s::text, %(counter)s::text)
ON CONFLICT (system, counter) DO UPDATE SET next = c.next;

-- name: find_number
-- What was taken for a key.
SELECT n.number, n.taken_at, n.detail, n.answer
FROM control_number n
WHERE n.system = %(system)s::text AND n.counter = %(counter)s::text AND n.key = %(key)s::text;

-- name: take_number
-- Takes the next number of a locked counter for a key; after the highest it begins again.
WITH taken AS (
    UPDATE control_counter c
    SET next = CASE WHEN c.next >= 999999999 THEN 1 ELSE c.next + 1 END
    FROM control_counter b
    WHERE c.system = %(system)s::text AND c.counter = %(counter)s::text
      AND b.system = c.system AND b.counter = c.counter
    RETURNING b.next AS number
)
INSERT INTO control_number (system, counter, key, detail, number, warn_at, breach_at)
SELECT %(system)s::text, %(counter)s::text, %(key)s::text, %(detail)s::text, t.number,
       clock_timestamp() + %(warn_seconds)s::float8 * interval '1 second',
       clock_timestamp() + %(breach_seconds)s::float8 * interval '1 second'
FROM taken t
RETURNING number, taken_at, detail, answer;

-- name: note_answer
-- Notes the answer to the newest that has the number.
UPDATE control_number n
SET answer = %(answer)s::text, reason = %(reason)s::text, answered_at = clock_timestamp()
WHERE n.system = %(system)s::text AND n.counter = %(counter)s::text
  AND n.key = (
      SELECT k.key FROM control_number k
      WHERE k.system = %(system)s::text AND k.counter = %(counter)s::text
        AND k.number = %(number)s::bigint
      ORDER BY k.taken_at DESC
      LIMIT 1)
RETURNING n.key;

-- name: note_overdue
-- Marks what should have been answered by now; each is told when it is late, and as a breach.
WITH late AS (
    SELECT n.system, n.counter, n.key
    FROM control_number n
    WHERE n.answer = '' AND NOT n.is_breached AND n.warn_at <= clock_timestamp()
      AND (NOT n.is_warned OR n.breach_at <= clock_timestamp())
    ORDER BY n.system, n.counter, n.key
    LIMIT 1000
    FOR UPDATE OF n SKIP LOCKED
)
UPDATE control_number n
SET is_warned = true, is_breached = n.breach_at <= clock_timestamp()
FROM late l
WHERE n.system = l.system AND n.counter = l.counter AND n.key = l.key
RETURNING n.system, n.counter, n.number, n.taken_at, n.key, n.is_breached;
