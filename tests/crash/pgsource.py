# SPDX-License-Identifier: MIT
"""A table of the server as the source, watched from another session meanwhile.  For pgcrash.py."""
import os
import subprocess
import time

from runs import oracle

PIPELINE = """name: rows
source: {{ postgres: {{ url: '{url}', table: numbers, key: id }} }}
steps: [ jq: {{ program: '{{id}}', timeout: 60s }} ]
sink: {{ jsonl: {{ path: rows.out }} }}
"""

# Of each transaction of weir that is open just then: what it is known by, how old it is, and how many pages had been read
# before and after this look, which takes its time.  While one is open that number may grow by one at most, or it lasts
# longer than a page.
LOOK = """CREATE FUNCTION look() RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE before bigint; after bigint; open text[];
    BEGIN
        SELECT coalesce(sum(calls), 0) INTO before FROM pg_stat_statements WHERE query LIKE '%row_to_json(r)::text%';
        SELECT array_agg(concat_ws('|', pid || ' ' || xact_start,
                                   extract(epoch FROM clock_timestamp() - xact_start) * 1000))
            INTO open FROM pg_stat_activity WHERE application_name LIKE 'weir%' AND xact_start IS NOT NULL;
        SELECT coalesce(sum(calls), 0) INTO after FROM pg_stat_statements WHERE query LIKE '%row_to_json(r)::text%';
        RETURN QUERY SELECT concat_ws('|', one, before, after) FROM unnest(open) one;
    END $$"""


class RowsSource:
    def __init__(self, place, rows):
        self.place, self.rows = place, rows
        place.sql("DROP TABLE IF EXISTS numbers; CREATE TABLE numbers (id bigint PRIMARY KEY); "
                  f"INSERT INTO numbers SELECT generate_series(1, {rows}); ANALYZE numbers; "
                  "CREATE EXTENSION IF NOT EXISTS pg_stat_statements; SELECT pg_stat_statements_reset(); " + LOOK)
        place.write("rows.yaml", PIPELINE.format(url=place.url))
        with open(place.path("watch.out"), "wb") as out:
            self.watcher = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-F", "|", "-d", place.url],
                                            stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT)
        self.watcher.stdin.write(b"SELECT look()\n\\watch 0.01\n")
        self.watcher.stdin.close()
        self.transactions = {}  # what it is known by -> age in ms, pages before and after, of each look

    def run(self):
        # The server does not notice at once that a client was killed, and finishes its query first.
        while self.place.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'weir%'").strip() != "0":
            time.sleep(0.01)
        return self.place.run("rows")

    def share_written(self):
        """Of all rows, about."""
        path = self.place.path("rows.out")
        return os.path.getsize(path) / len('{"id":100000}\n') / self.rows if os.path.exists(path) else 0

    def take_samples(self):
        self.watcher.kill()
        self.watcher.wait()
        for line in self.place.read("watch.out").splitlines():
            parts = line.split("|")
            if len(parts) == 4:
                self.transactions.setdefault(parts[0], []).append((float(parts[1]), int(parts[2]), int(parts[3])))

    def judge(self):
        self.take_samples()
        findings = [f"transaction {name} was open while {seen[-1][1] - seen[0][2]} pages were read"
                    for name, seen in self.transactions.items() if seen[-1][1] - seen[0][2] > 1]
        if not self.transactions:
            findings.append("no transaction was seen: " + self.place.read("watch.out")[:300])
        return findings + oracle.check(["--source", f"1-{self.rows}", "--sink", self.place.path("rows.out"),
                                        "--summary", self.place.path("rows.summary")])

    def told(self):
        ages = [age for seen in self.transactions.values() for age, *_ in seen]
        return f"{len(ages)} looks at {len(self.transactions)} transactions, the oldest {max(ages, default=0):.0f} ms"
