/* SPDX-License-Identifier: MIT */
/* The config of the sqlite broker, for those who open one without a config file. */
#ifndef BROKER_SQLITE_H
#define BROKER_SQLITE_H

#include <stdint.h>

enum broker_sqlite_when_full { BROKER_SQLITE_BLOCK };

struct broker_sqlite_config {
	uint64_t max_size;
	int64_t max_items;
	int when_full; /* enum broker_sqlite_when_full */
};

#endif
