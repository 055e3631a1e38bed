-- The lines of logs in S3, whatever they are. Write your bucket and prefix, twice, and the first day.
--
-- Each line is a log event, with a time before it or without, compressed by gzip or not. Below the prefix, the folders are
-- days: Firehose makes them, and an export of CloudWatch Logs goes into one if its own prefix ends with the day.
-- A line is one text, and no SerDe reads its JSON. So none can end a query, and none is read for more than it is.
CREATE EXTERNAL TABLE IF NOT EXISTS egress_audit_lines (
  line string COMMENT 'JSON escapes U+0001, so that it ends no line of the audit'
)
PARTITIONED BY (
  day string COMMENT 'when it was delivered, as 2026/11/23, in UTC'
)
ROW FORMAT DELIMITED
  FIELDS TERMINATED BY '\001'
  LINES TERMINATED BY '\n'
STORED AS TEXTFILE
LOCATION 's3://amzn-s3-demo-bucket/egress/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '2026/01/01,NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://amzn-s3-demo-bucket/egress/${day}/'
);
