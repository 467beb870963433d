/* SPDX-License-Identifier: MIT */
/* SQLSTATE: two characters are the class.  The list is that of the PostgreSQL manual, appendix A. */
#include "postgres/client/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "data/secret.h"

static const struct {
	const char *begin; /* of the SQLSTATE; the first that fits counts */
	enum pg_fault fault;
} faults[] = {
	{"40", PG_CONFLICT}, /* deadlock_detected, serialization_failure */
	{"53100", PG_FULL},  /* disk_full */
	{"53200", PG_ODD},   /* out_of_memory: a row may need more than there is */
	{"53", PG_BUSY},     /* insufficient_resources */
	{"08", PG_BUSY},     /* connection_exception, of a pooler's server, too */
	{"55P03", PG_BUSY},  /* lock_not_available */
	{"57", PG_BUSY},     /* operator_intervention: it stops, starts, or a statement was cancelled */
	{"25006", PG_BUSY},  /* read_only_sql_transaction: a primary has become a standby */
	{"21", PG_ROW},      /* cardinality_violation */
	{"22", PG_ROW},      /* data_exception */
	{"23", PG_ROW},      /* integrity_constraint_violation */
	{"44", PG_ROW},      /* with_check_option_violation */
	{"54", PG_ROW},      /* program_limit_exceeded: a key that is too long, too deep */
	{"P0", PG_ROW},      /* raised by a trigger */
	{"XX", PG_ODD},      /* internal_error */
	{"26", PG_FILE},     /* invalid_sql_statement_name: a pooler has given us another session */
	{"28", PG_FILE},     /* invalid_authorization_specification */
	{"3D", PG_FILE},     /* invalid_catalog_name */
	{"3F", PG_FILE},     /* invalid_schema_name */
	{"42", PG_FILE},     /* syntax, a name that is not there, no privilege */
	{"0A", PG_FILE},     /* feature_not_supported */
};

enum pg_fault pg_fault_of(const char *state)
{
	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
		if (strncmp(state, faults[i].begin, strlen(faults[i].begin)) == 0)
			return faults[i].fault;
	return PG_OTHER;
}

int pg_code_of(enum pg_fault fault)
{
	switch (fault) {
	case PG_FINE:
		return 0;
	case PG_ROW:
		return WEIR_EDATA;
	case PG_CONFLICT:
	case PG_BUSY:
	case PG_AWAY:
		return WEIR_EBUSY;
	case PG_FULL:
		return WEIR_ENOSPC;
	case PG_FILE:
		return WEIR_EINVAL;
	case PG_ODD:
	case PG_OTHER:
		break;
	}
	return WEIR_EIO;
}

int pg__fail(struct pg_error *err, enum pg_fault fault, const char *state, const char *format, ...)
{
	struct pg_error new = {.fault = fault};
	va_list args;
	va_start(args, format);
	vsnprintf(new.text, sizeof new.text, format, args);
	va_end(args);
	for (char *c = new.text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7F)
			*c = '?';
	secret_hide_text(new.text);
	snprintf(new.state, sizeof new.state, "%s", state ? state : "");
	*err = new;
	return pg_code_of(fault);
}

int pg__fail_here(struct pg_error *err, int code)
{
	pg__fail(err, PG_OTHER, NULL, "%s", weir_strerror(code));
	return code;
}
