-- What each function asked for, and when. Without a name is what was outside of any invocation.
SELECT
  function_name,
  count_if(event_type = 'egress_decision' AND stage IN ('request', 'redirect') AND action = 'allowed') AS requests,
  count_if(event_type = 'egress_decision' AND stage = 'connection' AND action = 'allowed') AS connections,
  count_if(event_type = 'egress_decision' AND would_deny) AS would_deny,
  count_if(event_type = 'egress_decision' AND action = 'denied') AS denied,
  count(DISTINCT CASE WHEN event_type <> 'egress_summary' THEN host || ':' || CAST(port AS varchar) END) AS destinations,
  count_if(event_type = 'egress_outcome') AS outcomes,
  coalesce(sum(CASE WHEN event_type = 'egress_outcome' THEN bytes_sent END), 0) AS bytes_sent,
  coalesce(sum(CASE WHEN event_type = 'egress_outcome' THEN bytes_received END), 0) AS bytes_received,
  count_if(event_type = 'egress_summary') AS invocations,
  min(recorded_at) AS first_seen,
  max(recorded_at) AS last_seen
FROM egress_audit
WHERE event_type IN ('egress_decision', 'egress_outcome', 'egress_summary')
  -- AND day BETWEEN '2026/11/01' AND '2026/11/30'
GROUP BY function_name
ORDER BY denied DESC, would_deny DESC, requests DESC, function_name;
