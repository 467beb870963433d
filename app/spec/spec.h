/* SPDX-License-Identifier: MIT */
/* What the files of this folder share: the state of one load. */
#ifndef SPEC_SPEC_H
#define SPEC_SPEC_H

#include "data/buf.h"
#include "port/key.h"
#include "spec/node.h"
#include "spec/plan.h"

/* A jq program to compile once all else is right: that takes a process each. */
struct spec_program {
	char *program;
	int line, column;
};

struct spec_load {
	const char *label, *folder; /* folder: where relative paths start; "" or "." is the working directory */
	const char *text;           /* what the tree was read from, to find a place inside a scalar */
	size_t n;
	const struct spec_options *opts;
	struct weir_error *err;
	struct buf explain, warnings; /* see struct plan */
	unsigned indent;              /* of its next line */
	bool absent;                  /* what is read now names files that need not be here */
	struct files *files;          /* to add to; NULL: nobody wants to know */
	struct spec_program *programs;
	size_t program_count;
};

/* Where a table is filled in, for messages and for what has no node of its own. */
struct spec_where {
	const char *name; /* such as "http" or "flow"; "" at the top */
	int line, column;
};

/* fail.c: records text at a place.  The macro lets a reader (and an analyser) see that the answer is a failure. */
void spec_error(struct spec_load *load, int line, int column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
#define spec_fail(...) (spec_error(__VA_ARGS__), WEIR_EINVAL)

/* The same with a text that was put together, and is freed. */
int spec_fail_text(struct spec_load *load, int line, int column, struct buf *text);

/* The same at the byte `at` of a scalar, or at its beginning where the file has it in another form. */
int spec_fail_in(struct spec_load *load, const struct spec_node *node, size_t at, const char *text);

/* A line of plan->warnings. */
void spec_warn(struct spec_load *load, int line, int column, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static inline int spec_fail_memory(struct spec_load *load)
{
	weir_error_set(load->err, WEIR_ENOMEM, "out of memory");
	return WEIR_ENOMEM;
}

/* fill.c: fills a config struct from a map (NULL: from the defaults; then nothing is required) and explains it.  What
 * was filled in is the caller's to release, on failure, too. */
int spec_fill(struct spec_load *load, const struct key *keys, const struct spec_node *map,
	      const struct spec_where *where, void *config);
void spec_release(const struct key *keys, void *config);

/* fill.c: the node of a default as it stands in the table. */
int spec_fallback_read(const struct key *key, struct spec_node **ret_node, struct weir_error *err);

/* doubt.c: warns of a value that is allowed, but most often a mistake.  And whether a secret is written there itself.
 */
void spec_doubt(struct spec_load *load, const struct key *key, const struct spec_node *node);
bool spec_is_literal_secret(const struct key *key, const struct spec_node *node);

/* value.c: one value. */
int spec_value_fill(struct spec_load *load, const struct key *key, const struct spec_node *node, void *config);

/* path.c: the path of a file that is read (of one at least, if it is a pattern), or written; malloc'ed. */
int spec_path_in(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		 char **field);
int spec_path_out(struct spec_load *load, const struct key *key, const struct spec_node *node, const char *text,
		  char **field);

/* expand.c: the text of a scalar with ${env:X} and ${file:X} filled in, malloc'ed.  In a template "${" from outside is
 * doubled, so that it stays text. */
int spec_expand(struct spec_load *load, const struct key *key, const struct spec_node *node, char **ret_text);
bool spec_is_external(const char *text);                            /* holds such a reference */
char *spec_resolve(const struct spec_load *load, const char *path); /* from the config's folder; malloc'ed or NULL */

/* expected.c: the key that a plain value for a group stands for, by the group's name; false if there is none.  And what
 * a key may be, for messages and reference ("a duration with a unit, such as 10s, from 1ms to 1h"). */
bool spec_shorthand(const struct key *group, struct key *ret_key);
void spec_expected(const struct key *key, struct buf *out);

/* The same of a value that should be a map: " (url, method, headers)". */
void spec_key_names(const struct key *keys, struct buf *out);
void spec_bounds(const struct key *key, struct buf *out); /* of it ", from 1ms to 1h", or nothing */

/* json.c: a map or list as JSON text, a template; and as it is shown, which can be read again as YAML. */
int spec_json_fill(struct spec_load *load, const struct key *key, const struct spec_node *node,
		   struct template **field);
int spec_json_show(const struct key *key, const struct spec_node *node, struct buf *out);

/* explain.c: lines of the effective config. */
void spec_explain_key(struct spec_load *load, const char *name); /* `name:` */
void spec_explain_value(struct spec_load *load, const struct key *key, const struct spec_node *node, bool fallback);
void spec_explain_absent(struct spec_load *load, const char *name);
void spec_explain_element(struct spec_load *load); /* of a list begins */

/* doubt.c: whether a value may not be shown. */
bool spec_is_hidden(const struct key *key, const struct spec_node *node);

/* adapters.c: what may stand beside the name of any step (a config of struct plan_adapter) and of the sink (of struct
 * plan_settings; and there the section `batch`), and the parts of a plan that name an adapter. */
extern const struct key spec_step_keys[], spec_sink_keys[];
extern const char *const spec_beside_step[], *const spec_beside_sink[]; /* all such names, ended by NULL */
bool spec_is_beside(const char *const *beside, const char *name);       /* beside: one of these, or NULL */
int spec_source_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);
int spec_broker_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);
int spec_steps_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);
int spec_sink_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);
int spec_dead_letter_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);

/* idempotency.c: the key `key` of the top. */
extern const struct key spec_key_keys[];
int spec_key_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);

/* flow.c: the section `flow`.  Its table, of which the defaults are those of the pattern that the section names, and
 * what the table cannot say: keys that contradict each other. */
extern const struct key spec_flow_keys[];
int spec_flow_fill(struct spec_load *load, const struct spec_node *root, struct plan *plan);

/* files.c: notes the files that an adapter reads or writes, once its config is filled from `map`.  WEIR_ENOMEM. */
int spec_files_add(struct spec_load *load, const struct plan_adapter *at, const struct spec_node *map,
		   const char *what);

/* jq.c: compiles the programs that were collected.  inner: as a part of a larger one. */
int spec_programs_add(struct spec_load *load, const char *program, bool inner, int line, int column);
int spec_programs_check(struct spec_load *load);
void spec_programs_free(struct spec_load *load);

#endif
