-- The audit lines of the table, with a column for each key. What is torn, or has a key of another type, is left out.
CREATE OR REPLACE VIEW egress_audit AS
WITH
  parsed AS (
    SELECT day, json_format(try(json_parse(substr(line, strpos(line, '{'))))) AS record
    FROM egress_audit_lines
    WHERE strpos(line, '"egress_') > 0
  ),
  -- What follows a brace or a comma and a quote is a key: within a text, the quote would be escaped.
  audit AS (
    SELECT
      day,
      record,
      -- A column of a view cannot have a time with its zone.
      try_cast(replace(replace(json_extract_scalar(record, '$.timestamp'), 'T', ' '), 'Z', '') AS timestamp(3)) AS recorded_at
    FROM parsed
    WHERE json_extract_scalar(record, '$.schema') = 'egress-guard/1'
      AND json_extract_scalar(record, '$.event_type') IS NOT NULL
      AND json_extract_scalar(record, '$.environment_id') IS NOT NULL
      AND json_extract_scalar(record, '$.seq') IS NOT NULL
      AND json_extract_scalar(record, '$.policy_id') IS NOT NULL
      AND json_extract_scalar(record, '$.mode') IS NOT NULL
      AND regexp_like(record, '[{,]"timestamp":"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z"')
      AND NOT regexp_like(record, '[{,]"(schema|event_type|policy_id|mode|requestId|action|reason|rule_id|policy_sha256|rejected_policy_sha256|suspicious_environment|boundary|client|stage|method|scheme|host|path|peer_ip|outcome|function_name)":[^"n]')
      AND NOT regexp_like(record, '[{,]"(environment_id|seq|exchange_id|port|status|bytes_sent|bytes_received)":([^0-9n]|[0-9]+[^0-9,}]|[0-9]{21})')
      AND NOT regexp_like(record, '[{,]"duration_ms":[^-0-9n]')
      AND NOT regexp_like(record, '[{,]"(would_deny|quarantined|path_truncated|peer_is_proxy)":[^tfn]')
      AND coalesce(try_cast(json_extract_scalar(record, '$.port') AS double), 0) <= 65535
      AND coalesce(try_cast(json_extract_scalar(record, '$.status') AS double), 0) <= 65535
    -- GROUP BY day, record -- what was delivered twice counts once
  )
SELECT
  day,
  recorded_at,
  json_extract_scalar(record, '$.event_type') AS event_type,
  json_extract_scalar(record, '$.function_name') AS function_name,
  json_extract_scalar(record, '$.requestId') AS request_id,
  try_cast(json_extract_scalar(record, '$.environment_id') AS bigint) AS environment_id,
  try_cast(json_extract_scalar(record, '$.seq') AS bigint) AS seq,
  try_cast(json_extract_scalar(record, '$.exchange_id') AS bigint) AS exchange_id,
  json_extract_scalar(record, '$.policy_id') AS policy_id,
  json_extract_scalar(record, '$.mode') AS mode,
  json_extract_scalar(record, '$.client') AS client,
  json_extract_scalar(record, '$.stage') AS stage,
  json_extract_scalar(record, '$.action') AS action,
  coalesce(try_cast(json_extract_scalar(record, '$.would_deny') AS boolean), false) AS would_deny,
  json_extract_scalar(record, '$.reason') AS reason,
  json_extract_scalar(record, '$.rule_id') AS rule_id,
  json_extract_scalar(record, '$.boundary') AS boundary,
  json_extract_scalar(record, '$.method') AS method,
  json_extract_scalar(record, '$.scheme') AS scheme,
  json_extract_scalar(record, '$.host') AS host,
  try_cast(json_extract_scalar(record, '$.port') AS integer) AS port,
  json_extract_scalar(record, '$.path') AS path,
  json_extract_scalar(record, '$.peer_ip') AS peer_ip,
  json_extract_scalar(record, '$.outcome') AS outcome,
  try_cast(json_extract_scalar(record, '$.status') AS integer) AS status,
  -- The first digit, as 2xx.
  CAST(CAST(floor(try_cast(json_extract_scalar(record, '$.status') AS double) / 100) AS integer) AS varchar) || 'xx' AS status_class,
  try_cast(json_extract_scalar(record, '$.bytes_sent') AS decimal(20, 0)) AS bytes_sent,
  try_cast(json_extract_scalar(record, '$.bytes_received') AS decimal(20, 0)) AS bytes_received,
  try_cast(json_extract_scalar(record, '$.duration_ms') AS double) AS duration_ms,
  -- The whole line, for the other keys.
  record
FROM audit
WHERE recorded_at IS NOT NULL;
