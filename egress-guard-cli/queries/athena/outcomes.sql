-- How allowed requests ended. The duration is that of all together.
SELECT
  function_name,
  host,
  outcome,
  status_class,
  count(*) AS count,
  coalesce(sum(bytes_sent), 0) AS bytes_sent,
  coalesce(sum(bytes_received), 0) AS bytes_received,
  coalesce(sum(duration_ms), 0) AS duration_ms,
  coalesce(max(duration_ms), 0) AS longest_ms,
  min(recorded_at) AS first_seen,
  max(recorded_at) AS last_seen
FROM egress_audit
WHERE event_type = 'egress_outcome'
  -- AND day BETWEEN '2026/11/01' AND '2026/11/30'
GROUP BY function_name, host, outcome, status_class
ORDER BY count DESC, function_name, host, outcome, status_class;
