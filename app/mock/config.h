/* SPDX-License-Identifier: MIT */
/*
 * How a mock behaves: the options of `weir mock`, read.  Rules hold for paths that begin with their prefix, whole
 * parts of it; of those of one kind the longest prefix wins, of equal ones the last (faults of equal prefixes all hold,
 * each with its chance).
 */
#ifndef MOCK_CONFIG_H
#define MOCK_CONFIG_H

#include "capacity.h"
#include "fault.h"
#include "latency.h"

#include "data/address.h"

enum { MOCK_RULES = 64 };

/* How the limit is stated in answers. */
enum mock_limit_headers {
	MOCK_TELL_NOTHING,
	MOCK_TELL_FIELDS, /* RateLimit and RateLimit-Policy, as structured fields */
	MOCK_TELL_OLD,    /* RateLimit-Limit, -Remaining, -Reset */
	MOCK_TELL_X,      /* X-RateLimit-Limit, -Remaining, -Reset; the reset as Unix time */
};

enum mock_rule_kind { MOCK_RULE_LATENCY, MOCK_RULE_ERRORS, MOCK_RULE_FAULT };

struct mock_rule {
	enum mock_rule_kind kind;
	const char *prefix; /* borrowed from the option's text; not NUL-terminated */
	size_t prefix_bytes;
	double chance; /* of ERRORS and FAULT */
	struct mock_latency latency;
	struct mock_fault fault;
};

struct mock_config {
	struct address listen;
	struct mock_capacity_plan capacity;
	enum mock_limit_headers limit_headers;
	struct mock_rule rules[MOCK_RULES];
	size_t rule_count;
	size_t max_connections; /* 0: no limit */
	uint64_t error_status;
	uint64_t seed;
	const char *log;         /* file to which each request is added, as /echo shows it; NULL: none */
	const char *retry_after; /* of a refusal: NULL: what the limit says, rounded up; "": none; else see
				    mock_retry_after() */
	bool retry_after_date;   /* what the limit says, as a date */
};

/* 127.0.0.1:8080, errors are 500. */
void mock_config_init(struct mock_config *config);
void mock_config_fini(struct mock_config *config);

/* The options' texts, which are borrowed for the life of the config.  WEIR_EINVAL with err->text; see the parts. */
int mock_config_listen(struct mock_config *config, const char *text, struct weir_error *err);
int mock_config_latency(struct mock_config *config, const char *text, struct weir_error *err); /* [PREFIX=]LATENCY */
int mock_config_errors(struct mock_config *config, const char *text, struct weir_error *err);  /* [PREFIX=]PERCENT */
int mock_config_fault(struct mock_config *config, const char *text,
		      struct weir_error *err); /* PREFIX=FAULT[:PERCENT] */
int mock_config_limit_headers(struct mock_config *config, const char *text, struct weir_error *err);
int mock_config_retry_after(struct mock_config *config, const char *text, struct weir_error *err);

weir_nsec mock_config_draw_latency(const struct mock_config *config, struct mock_span path, uint64_t *random);
bool mock_config_draw_error(const struct mock_config *config, struct mock_span path, uint64_t *random);
/* NULL: none this time. */
const struct mock_fault *mock_config_draw_fault(const struct mock_config *config, struct mock_span path,
						uint64_t *random);

#endif
