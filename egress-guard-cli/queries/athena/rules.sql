-- What each rule decided, and when. Without a rule is what no rule lists.
SELECT
  policy_id,
  rule_id,
  count_if(stage IN ('request', 'redirect') AND action = 'allowed') AS requests,
  count_if(stage = 'connection' AND action = 'allowed') AS connections,
  count_if(would_deny) AS would_deny,
  count_if(action = 'denied') AS denied,
  min(recorded_at) AS first_seen,
  max(recorded_at) AS last_seen
FROM egress_audit
WHERE event_type = 'egress_decision'
  -- AND day BETWEEN '2026/11/01' AND '2026/11/30'
GROUP BY policy_id, rule_id
ORDER BY policy_id, rule_id;
