/* SPDX-License-Identifier: MIT */
/* See program.h. */
#include "jq/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VARS        ".[1] as $source | .[2] as $meta | .[0] | " /* before a program */
#define DEFINITIONS "\n."                                       /* behind one that has no expression */

static void replace(char *text, const char *what, const char *by)
{
	char *at = strstr(text, what);
	size_t old_len = strlen(what), new_len = strlen(by);
	if (!at || new_len > old_len)
		return;
	memcpy(at, by, new_len);
	memmove(at + new_len, at + old_len, strlen(at + old_len) + 1);
}

/* jq says "jq: error: REASON (Unix shell quoting issues?) at <top-level>, line 1:\nPROGRAM"; the first of several
 * counts. */
static void keep_complaint(void *arg, jv message)
{
	struct program_complaint *complaint = arg;
	message = jq_format_error(message);
	if (!complaint->text[0]) {
		snprintf(complaint->text, sizeof complaint->text, "%s", jv_string_value(message));
		complaint->text[strcspn(complaint->text, "\n")] = 0;
		replace(complaint->text, "jq: error: ", "");
		replace(complaint->text, " (Unix shell quoting issues?)", "");
		replace(complaint->text, " at <top-level>, line", ", line");
		replace(complaint->text, "$end", "end");
		for (unsigned char *p = (unsigned char *)complaint->text; *p; p++)
			if (*p < ' ' || *p == 0x7f)
				*p = ' ';
		size_t len = strlen(complaint->text);
		if (len && complaint->text[len - 1] == ':')
			complaint->text[len - 1] = 0;
	}
	jv_free(message);
}

static bool compile(jq_state *jq, const char *before, const char *program, const char *after,
		    struct program_complaint *why)
{
	char *text;
	*why = (struct program_complaint){0};
	if (asprintf(&text, "%s%s%s", before, program, after) < 0)
		return false;
	jq_set_error_cb(jq, keep_complaint, why);
	bool good = jq_compile(jq, text);
	jq_set_error_cb(jq, NULL, NULL);
	free(text);
	return good;
}

/* The variables come from the input, since libjq binds them for a whole program.  Behind a pipe no `import` is
 * allowed, which keeps modules and their files out; a program of definitions alone needs an expression there. */
bool program_compile(jq_state *jq, bool vars, const char *definitions, const char *program,
		     struct program_complaint *why)
{
	struct program_complaint ignored;
	char *before;
	if (asprintf(&before, "%s%s", definitions, vars ? VARS : ". | ") < 0)
		return false;
	bool good = compile(jq, before, program, "", why) || compile(jq, before, program, DEFINITIONS, &ignored);
	free(before);
	return good;
}

/* What jq itself says of the program, before anything is put around it. */
static bool compile_alone(jq_state *jq, const char *program, struct program_complaint *why)
{
	jv vars = jv_object();
	vars = jv_object_set(vars, jv_string("source"), jv_null());
	vars = jv_object_set(vars, jv_string("meta"), jv_null());
	*why = (struct program_complaint){0};
	jq_set_error_cb(jq, keep_complaint, why);
	bool good = jq_compile_args(jq, program, vars);
	jq_set_error_cb(jq, NULL, NULL);
	return good;
}

/* A compilation takes libjq 17 ms, for it compiles its own definitions, too; so a usual program is compiled once.  What
 * parses behind a pipe parses alone: only one that does not needs to be asked about as it stands. */
int program_check(jq_state *jq, const char *program)
{
	struct program_complaint why, ignored;
	if (compile(jq, VARS, program, "", &why))
		return 0;
	struct program_complaint wrapped = why;
	if (!compile_alone(jq, program, &why)) {
		fprintf(stderr, "%s\n", why.text[0] ? why.text : "the program does not compile");
		return 1;
	}
	if (!compile(jq, VARS, program, DEFINITIONS, &ignored)) {
		fprintf(stderr, "%s (modules are not supported)\n", wrapped.text);
		return 1;
	}
	return 0;
}
