"""Runs Athena's SQL on DuckDB, over logs in a folder that plays the bucket's prefix.

run.py FOLDER < QUERIES: the queries are a JSON object of names and SQL; `table` and `view` define what the others ask.
Each must parse as Athena's and as Trino's SQL. Prints a JSON object of names and rows, each row an object.
"""

import datetime
import decimal
import json
import pathlib
import sys

import duckdb
import sqlglot
from sqlglot import expressions as exp

# What Athena does not take as a name unless it is quoted, which sqlglot does not mind.
# Source: <https://docs.aws.amazon.com/athena/latest/ug/reserved-words.html>.
RESERVED_IN_DDL = """ALL ALTER AND ARRAY AS AUTHORIZATION BETWEEN BIGINT BINARY BOOLEAN BOTH BY CASE CASHE CAST CHAR
    COLUMN CONF CONSTRAINT COMMIT CREATE CROSS CUBE CURRENT CURRENT_DATE CURRENT_TIMESTAMP CURSOR DATABASE DATE DAYOFWEEK
    DECIMAL DELETE DESCRIBE DISTINCT DIV DOUBLE DROP ELSE END EXCHANGE EXISTS EXTENDED EXTERNAL EXTRACT FALSE FETCH FLOAT
    FLOOR FOLLOWING FOR FOREIGN FROM FULL FUNCTION GRANT GROUP GROUPING HAVING IF IMPORT IN INNER INSERT INT INTEGER
    INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LESS LIKE LOCAL MACRO MAP MORE NONE NOT NULL NUMERIC OF ON ONLY OR ORDER
    OUT OUTER OVER PARTIALSCAN PARTITION PERCENT PRECEDING PRECISION PRESERVE PRIMARY PROCEDURE RANGE READS REDUCE REGEXP
    REFERENCES REVOKE RIGHT RLIKE ROLLBACK ROLLUP ROW ROWS SELECT SET SMALLINT START TABLE TABLESAMPLE THEN TIME TIMESTAMP
    TO TRANSFORM TRIGGER TRUE TRUNCATE UNBOUNDED UNION UNIQUEJOIN UPDATE USER USING UTC_TIMESTAMP VALUES VARCHAR VIEWS
    WHEN WHERE WINDOW WITH""".split()
RESERVED_IN_SELECT = """ALTER AND AS BETWEEN BY CASE CAST CONSTRAINT CREATE CROSS CUBE CURRENT_CATALOG CURRENT_DATE
    CURRENT_PATH CURRENT_SCHEMA CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER DEALLOCATE DELETE DESCRIBE DISTINCT DROP ELSE
    END ESCAPE EXCEPT EXECUTE EXISTS EXTRACT FALSE FIRST FOR FROM FULL GROUP GROUPING HAVING IN INNER INSERT INTERSECT
    INTO IS JOIN JSON_ARRAY JSON_EXISTS JSON_OBJECT JSON_QUERY JSON_TABLE JSON_VALUE LAST LEFT LIKE LISTAGG LOCALTIME
    LOCALTIMESTAMP NATURAL NORMALIZE NOT NULL OF ON OR ORDER OUTER PREPARE RECURSIVE RIGHT ROLLUP SELECT SKIP TABLE THEN
    TRIM TRUE UESCAPE UNION UNNEST USING VALUES WHEN WHERE WITH""".split()


def parse(name, sql):
    """The one statement of a query."""
    # Athena runs one statement at a time, and one in a comment may end it too.
    if sql.count(";") != 1 or not sql.rstrip().endswith(";"):
        raise ValueError(f"{name}: a semicolon ends the statement, and stands nowhere else")
    is_table = name == "table"
    # Hive's statements, which Athena takes for tables, are not Trino's.
    for dialect in ["athena"] if is_table else ["trino", "athena"]:
        (statement,) = sqlglot.parse(sql, read=dialect)
        if isinstance(statement, exp.Command):
            raise ValueError(f"{name}: {dialect} does not parse it")
    reserved = RESERVED_IN_DDL if is_table else RESERVED_IN_SELECT
    for identifier in statement.find_all(exp.Identifier):
        if not identifier.quoted and identifier.name.upper() in reserved:
            raise ValueError(f"{name}: {identifier.name} is reserved")
    # It would be asked of DuckDB as it stands.
    for function in statement.find_all(exp.Anonymous):
        raise ValueError(f"{name}: the function {function.name} is unknown")
    return statement


def define_table(database, statement, folder):
    """What the table's definition says of the files, said to DuckDB."""
    properties = {one.name: one.args["value"].name for one in statement.find_all(exp.Property) if type(one) is exp.Property}
    location = statement.find(exp.LocationProperty).name
    template = properties["storage.location.template"]
    assert template.startswith(location) and location.endswith("/"), (location, template)
    (partition,) = statement.find(exp.PartitionedByProperty).this.expressions
    (column,) = statement.this.expressions
    assert column.kind and column.kind.is_type("text"), column
    row_format = statement.find(exp.RowFormatDelimitedProperty)
    assert row_format.args["lines"].name in ("\n", "\\n"), row_format

    assert properties["projection.enabled"] == "true", properties
    form = {"yyyy/MM/dd": ("*/*/*", "([0-9]{4}/[0-9]{2}/[0-9]{2})")}[properties[f"projection.{partition.name}.format"]]
    place = template.removeprefix(location)
    files, day = (f"{folder}/{place.replace('${' + partition.name + '}', one)}" for one in form)
    database.execute(
        f"""CREATE TABLE {statement.this.this.name} AS
        SELECT {column.name}, regexp_extract(filename, $day, 1) AS {partition.name}
        FROM read_csv($files, columns = {{'{column.name}': 'VARCHAR'}}, delim = $delimiter, quote = '', escape = '',
            header = false, auto_detect = false, filename = true, new_line = '\\n', strict_mode = false, ignore_errors = true)""",
        {"files": f"{files}**", "day": f"^{day}", "delimiter": row_format.args["fields"].name},
    )


def run(database, statement):
    return database.execute(statement.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE))


def plain(value):
    """As JSON has it."""
    if isinstance(value, datetime.datetime):
        return value.isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, decimal.Decimal):
        return int(value)
    return value


def main():
    queries = json.load(sys.stdin)
    statements = {name: parse(name, sql) for name, sql in queries.items()}
    database = duckdb.connect()
    define_table(database, statements.pop("table"), pathlib.Path(sys.argv[1]))
    run(database, statements.pop("view"))
    answers = {}
    for name, statement in statements.items():
        cursor = run(database, statement)
        columns = [one[0] for one in cursor.description]
        answers[name] = [dict(zip(columns, map(plain, row))) for row in cursor.fetchall()]
    json.dump(answers, sys.stdout)


main()
