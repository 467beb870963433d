#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: weir list --json metrics | scripts/observe.py table|dashboard|rules

Prints what is made from the table of metrics, for scripts/reference:

    table      docs/observe.md, with the table in it filled again
    dashboard  contrib/grafana/weir.json, a panel for each metric
    rules      contrib/prometheus-rules.yaml, the alerts below, which may name only metrics that are there
"""
import json
import re
import sys

SELECTOR = '{instance=~"$instance"}'

# name, for how long, severity, expression, summary
ALERTS = [
    ("WeirStandsStill", "10m", "critical",
     "weir_items_unfinished > 0 and weir_items_per_second == 0 and weir_paused == 0",
     "{{ $labels.instance }} has unfinished items and has settled none for 10 minutes"),
    ("WeirBreakerOpen", "5m", "warning", 'weir_upstream_breaker{state="open"} > 0',
     "the breaker of {{ $labels.upstream }} has been open for 5 minutes"),
    ("WeirManyDeadLetters", "5m", "warning",
     "delta(weir_items_dead[10m]) > 0.05 * increase(weir_items_read_total[10m]) and delta(weir_items_dead[10m]) > 10",
     "over 5 % of the items of {{ $labels.instance }} become dead letters"),
    ("WeirDiskFull", "1m", "critical", "weir_degraded == 1", "{{ $labels.instance }} waits for disk space"),
    ("WeirLoopStalls", "5m", "warning",
     "histogram_quantile(0.5, sum by (instance, le) (rate(weir_loop_lag_seconds_bucket[5m]))) > 0.5",
     "the loop of {{ $labels.instance }} is late by over half a second"),
    ("WeirItemsLate", "5m", "warning",
     "rate(weir_class_items_late_total[5m]) > 0.01 * rate(weir_class_items_begun_total[5m])",
     "over 1 % of the items of class {{ $labels.class }} begin later than flow.priority.sla"),
]


def table(metrics):
    print("\n| metric | type | labels | meaning |\n|---|---|---|---|")
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric["labels"])
        print(f"| `{metric['name']}` | {metric['type']} | {labels} | {metric['help']} |")
    print()


def fill(metrics, path):
    """Prints the file with its table filled again."""
    inside = False
    for line in open(path, encoding="utf-8"):
        inside = inside and line != "<!-- end -->\n"
        if not inside:
            print(line, end="")
        if line == "<!-- metrics -->\n":
            table(metrics)
            inside = True


def expression(metric):
    name, labels = metric["name"], metric["labels"]
    if metric["type"] == "counter":
        return f"rate({name}{SELECTOR}[$__rate_interval])"
    if metric["type"] == "gauge":
        return name + SELECTOR
    by = ", ".join(["le", "instance", *labels])
    return f"histogram_quantile(0.95, sum by ({by}) (rate({name}_bucket{SELECTOR}[$__rate_interval])))"


def unit(metric):
    name, counts = metric["name"], metric["type"] == "counter"
    if "_seconds" in name:
        return "percentunit" if counts else "s"  # seconds a second
    if name.endswith("_bytes"):
        return "bytes"
    return "cps" if counts else "short"


def panel(number, metric):
    title = metric["help"].removesuffix(".")
    legend = " ".join("{{" + label + "}}" for label in ["instance", *metric["labels"]])
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title + {"histogram": " (p95)", "counter": " (rate)"}.get(metric["type"], ""),
        "description": metric["name"],
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": number % 3 * 8, "y": number // 3 * 8, "w": 8, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit(metric), "min": 0}, "overrides": []},
        "targets": [{"refId": "A", "expr": expression(metric), "legendFormat": legend}],
    }


def dashboard(metrics):
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        {"name": "instance", "type": "query", "query": "label_values(weir_build_info, instance)",
         "datasource": {"type": "prometheus", "uid": "${datasource}"},
         "includeAll": True, "multi": True, "allValue": ".*", "current": {"text": "All", "value": "$__all"},
         "refresh": 2},
    ]
    print(json.dumps({
        "uid": "weir", "title": "weir", "schemaVersion": 37, "version": 1, "editable": True, "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"}, "templating": {"list": variables},
        "panels": [panel(number, metric) for number, metric in enumerate(metrics)],
    }, indent=1))


def rules(metrics):
    names = {metric["name"] for metric in metrics}
    print("# Made by scripts/reference from the table of metrics; change scripts/observe.py.")
    print("groups:\n  - name: weir\n    rules:")
    for name, duration, severity, expr, summary in ALERTS:
        for used in re.findall(r"\bweir_\w+", expr):
            if used.removesuffix("_bucket") not in names:
                sys.exit(f"scripts/observe.py: {name}: there is no metric {used}")
        print(f"      - alert: {name}\n        expr: {json.dumps(expr)}\n        for: {duration}")
        print(f"        labels: {{ severity: {severity} }}")
        print(f"        annotations: {{ summary: {json.dumps(summary, ensure_ascii=False)} }}")


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in ("table", "dashboard", "rules"):
        sys.exit(__doc__)
    metrics = json.load(sys.stdin)
    if sys.argv[1] == "table":
        fill(metrics, "docs/observe.md")
    elif sys.argv[1] == "dashboard":
        dashboard(metrics)
    else:
        rules(metrics)


main()
