/* SPDX-License-Identifier: MIT */
/* All adapters, in the order in which `weir list` shows them. */
#include "port/adapters.h"

/* clang-format off */
const struct adapter *const adapter_registry[] = {
	/* sources */
	&source_jsonl_adapter,
	&source_csv_adapter,
	&source_lines_adapter,
	&source_range_adapter,
	&source_sqlite_adapter,
	&source_postgres_adapter,
	&source_stdin_adapter,
	/* brokers */
	&broker_sqlite_adapter,
	&broker_memory_adapter,
	&broker_redis_adapter,
	/* steps */
	&step_http_adapter,
	&step_jq_adapter,
	/* sinks */
	&sink_sqlite_adapter,
	&sink_postgres_adapter,
	&sink_jsonl_adapter,
	&sink_csv_adapter,
	&sink_stdout_adapter,
	NULL,
};
/* clang-format on */
