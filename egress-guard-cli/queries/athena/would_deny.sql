-- What was sent and would be denied if the policy or the rule were enforced, the most frequent first.
SELECT
  function_name,
  host,
  port,
  stage,
  reason,
  rule_id,
  count(*) AS count,
  min(recorded_at) AS first_seen,
  max(recorded_at) AS last_seen
FROM egress_audit
WHERE event_type = 'egress_decision'
  AND would_deny
  -- AND day BETWEEN '2026/11/01' AND '2026/11/30'
GROUP BY function_name, host, port, stage, reason, rule_id
ORDER BY count DESC, function_name, host, port, stage, reason, rule_id;
