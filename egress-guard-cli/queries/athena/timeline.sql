-- The decisions of each hour that has any, in UTC.
SELECT
  date_trunc('hour', recorded_at) AS start,
  count_if(stage IN ('request', 'redirect') AND action = 'allowed') AS requests,
  count_if(stage = 'connection' AND action = 'allowed') AS connections,
  count_if(would_deny) AS would_deny,
  count_if(action = 'denied') AS denied
FROM egress_audit
WHERE event_type = 'egress_decision'
  -- AND day BETWEEN '2026/11/01' AND '2026/11/30'
GROUP BY date_trunc('hour', recorded_at)
ORDER BY start;
