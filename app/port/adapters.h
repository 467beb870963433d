/* SPDX-License-Identifier: MIT */
/* Every adapter there is.  To add one: its file, a line here, a line in cmd/registry.c. */
#ifndef PORT_ADAPTERS_H
#define PORT_ADAPTERS_H

#include "port/adapter.h"

extern const struct adapter source_csv_adapter, source_jsonl_adapter, source_lines_adapter, source_range_adapter,
	source_postgres_adapter, source_sqlite_adapter, source_stdin_adapter;
extern const struct adapter broker_memory_adapter, broker_redis_adapter, broker_sqlite_adapter;
extern const struct adapter step_http_adapter, step_jq_adapter;
extern const struct adapter sink_csv_adapter, sink_jsonl_adapter, sink_postgres_adapter, sink_sqlite_adapter,
	sink_stdout_adapter;

#endif
