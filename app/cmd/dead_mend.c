/* SPDX-License-Identifier: MIT */
/*
 * weir dead replay with other items: of a file of lines as `weir dead export` writes them, or made by a jq program, in
 * a weir-jq child, as the step jq runs it.
 *
 * Items go back in batches, each a transaction.  A file is read twice, first to see that all of it is right.  A program
 * gets the letters that there were at the beginning: an item that dies again meanwhile is a new letter.
 */
#include "cmd/dead_mend.h"

#include "cmd/dead_show.h"
#include "cmd/paths.h"
#include "data/json.h"
#include "data/terminal.h"
#include "spec/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

enum { IDS_SHOWN = 5, FIBER_STACK = 512 << 10 };

struct mending {
	struct letters *letters;
	struct letter_mend mends[LETTERS_MEND_MAX]; /* with items of their own */
	size_t n, bytes;
	uint64_t replayed, missing, stayed;
	uint64_t missing_ids[IDS_SHOWN];
	uint64_t first_stayed;
	char why[256]; /* of the first that stayed */
};

static int flush(struct mending *self, struct weir_error *err)
{
	const struct letters_request request = {LETTERS_MEND, .mends = self->mends, .mend_count = self->n};
	uint64_t n = 0;
	int code = self->n ? letters_do(self->letters, &request, NULL, &n, err) : 0;
	for (size_t i = 0; i < self->n; i++) {
		if (!code && !self->mends[i].done) {
			if (self->missing < IDS_SHOWN)
				self->missing_ids[self->missing] = self->mends[i].id;
			self->missing++;
		}
		value_fini(&self->mends[i].item);
	}
	self->replayed += n;
	self->n = self->bytes = 0;
	return code;
}

/* Takes the item over. */
static int add(struct mending *self, uint64_t id, struct value *item, struct weir_error *err)
{
	if (item->len > LETTERS_MEND_BYTES) {
		value_fini(item);
		return weir_error_set(err, WEIR_EINVAL, "the item of %" PRIu64 " is over 1 MiB", id);
	}
	self->bytes += item->len;
	self->mends[self->n++] = (struct letter_mend){.id = id, .item = *item};
	*item = (struct value){0};
	return self->n == LETTERS_MEND_MAX || self->bytes > LETTERS_MEND_BYTES ? flush(self, err) : 0;
}

static void note_stayed(struct mending *self, uint64_t id, const char *why)
{
	if (!self->stayed++) {
		self->first_stayed = id;
		snprintf(self->why, sizeof self->why, "%s", why);
	}
}

static void say_result(const struct mending *self)
{
	dead_print_replayed(self->replayed, letters_live(self->letters));
	if (self->missing) {
		printf("%" PRIu64 " %s not %sdead letter%s:", self->missing, self->missing == 1 ? "is" : "are",
		       self->missing == 1 ? "a " : "", self->missing == 1 ? "" : "s");
		for (uint64_t i = 0; i < self->missing && i < IDS_SHOWN; i++)
			printf(" %" PRIu64, self->missing_ids[i]);
		puts(self->missing > IDS_SHOWN ? " ..." : "");
	}
	if (self->stayed) {
		printf("%" PRIu64 " stay%s dead: the program gives no item for %s; %" PRIu64 ": ", self->stayed,
		       self->stayed == 1 ? "s" : "", self->stayed == 1 ? "it" : "them", self->first_stayed);
		terminal_put(stdout, self->why);
		putchar('\n');
	}
}

/* What was asked for and could not be found is an error only if there was nothing else. */
static int finish(struct mending *self, int code, bool *ret_stayed, struct weir_error *err)
{
	if (!code)
		code = flush(self, err);
	for (size_t i = 0; i < self->n; i++)
		value_fini(&self->mends[i].item);
	if (!code || self->replayed)
		say_result(self);
	*ret_stayed = self->stayed;
	if (!code && self->missing && !self->replayed && !self->stayed)
		code = weir_error_set(err, -ENOENT, "no such dead letters");
	return code;
}

/* --- from a file --- */

static int fail_line(const char *path, size_t number, const char *what, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL, "%s:%zu: %s", path, number, what);
}

/* self NULL: only looks whether it is right. */
static int take_line(struct mending *self, const char *path, size_t number, const char *line, size_t n,
		     struct weir_error *err)
{
	struct json *json = NULL;
	struct weir_error why = {0};
	struct value item = {0};
	if (json_parse(line, n, &json, &why))
		return fail_line(path, number, why.text, err);
	const struct json *id = json_member(json, "id"), *given = json_member(json, "item");
	int code = 0;
	if (!id || !json_fits_int(id) || json_int(id) < 1)
		code = fail_line(path, number, "no \"id\" of a dead letter", err);
	else if (!given)
		code = fail_line(path, number, "no \"item\"", err);
	if (!code && self) {
		item.data = json_dump(given, &item.len);
		code = item.data ? add(self, (uint64_t)json_int(id), &item, err)
				 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	json_free(json);
	return code;
}

static bool is_blank(const char *line)
{
	return !line[strspn(line, " \t\r\n")];
}

static int read_lines(struct mending *self, const char *path, FILE *file, struct weir_error *err)
{
	char *line = NULL;
	size_t room = 0, number = 0;
	ssize_t n;
	int code = 0;
	errno = 0;
	while (!code && (n = getline(&line, &room, file)) > 0) {
		number++;
		if (!is_blank(line))
			code = take_line(self, path, number, line, (size_t)n, err);
	}
	free(line);
	if (!code && ferror(file))
		code = weir_error_set(err, errno ? -errno : WEIR_EIO, "cannot read %s: %s", path, strerror(errno));
	return code;
}

int dead_mend_from_file(struct letters *letters, const char *path, bool *ret_stayed, struct weir_error *err)
{
	struct mending *self = calloc(1, sizeof *self);
	FILE *file = self ? fopen(path, "re") : NULL;
	if (!file) {
		int code = self ? -errno : WEIR_ENOMEM;
		free(self);
		return weir_error_set(err, code, "cannot open %s: %s", path, weir_strerror(code));
	}
	self->letters = letters;
	int code = read_lines(NULL, path, file, err);
	if (!code && fseek(file, 0, SEEK_SET))
		code = weir_error_set(err, WEIR_EINVAL, "%s can be read only once; save it as a file first", path);
	if (!code)
		code = finish(self, read_lines(self, path, file, err), ret_stayed, err);
	fclose(file);
	free(self);
	return code;
}

/* --- by a program --- */

struct program {
	struct mending *mending;
	const struct letter_query *query;
	const struct plan *plan; /* of one step, the program */
	struct step *step;
	struct weir_group *group; /* of a page's letters, which the child processes side by side */
	uint64_t last;            /* letters beyond it are new ones */
	struct weir_error *err;
};

/* A letter on its way through the program. */
struct mend_job {
	struct program *program;
	struct item item;
	struct value_list outputs;
};

/* An item must be JSON whatever the child says: why there is none, or NULL. */
static const char *find_wrong(enum step_verdict verdict, const struct step_call *call)
{
	struct json *json = NULL;
	const struct value_list *outputs = call->outputs;
	if (verdict != STEP_OK)
		return call->why;
	if (outputs->n != 1)
		return outputs->n ? "several outputs" : "no output";
	int code = json_parse(outputs->values[0].data, outputs->values[0].len, &json, NULL);
	json_free(json);
	return code ? "its output is not JSON" : NULL;
}

static int run_job(void *arg)
{
	struct mend_job *job = arg;
	struct program *program = job->program;
	struct step_call call = {
		.item = &job->item, .input = &job->item.source, .attempt = 1, .outputs = &job->outputs};
	const char *wrong = find_wrong(program->plan->steps[0].adapter->step->run(program->step, &call), &call);
	int code = 0;
	if (wrong)
		note_stayed(program->mending, job->item.id, wrong);
	else
		code = add(program->mending, job->item.id, &job->outputs.values[0], program->err);
	value_fini(&job->item.source);
	value_list_fini(&job->outputs);
	free(job);
	return code;
}

static int start_job(const struct json *letter, void *arg, struct weir_error *err)
{
	struct program *program = arg;
	uint64_t id = (uint64_t)json_member_int(letter, "id");
	struct mend_job *job = id > program->last ? NULL : calloc(1, sizeof *job);
	if (id > program->last)
		return 0;
	if (job) {
		job->program = program;
		job->item.id = id;
		job->item.position = (uint64_t)json_member_int(letter, "position");
		job->item.source.data = json_dump(json_member(letter, "item"), &job->item.source.len);
		if (job->item.source.data && !weir_group_spawn(program->group, run_job, job, WEIR_FOREVER))
			return 0;
		value_fini(&job->item.source);
	}
	free(job);
	return weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

static int mend_page(const struct buf *lines, void *arg, struct weir_error *err)
{
	struct program *program = arg;
	int code = letters_each_line(lines, start_job, program, err);
	int waited = weir_group_wait(program->group, WEIR_FOREVER);
	if (waited && !err->code)
		weir_error_set(err, waited, "%s", weir_strerror(waited));
	return code ? code : waited;
}

/* The largest id that there is now. */
static int find_last(const struct json *line, void *arg, struct weir_error *err)
{
	uint64_t *last = arg;
	(void)err;
	*last = (uint64_t)json_member_int(line, "last");
	return 0;
}

static int run_program(struct program *program)
{
	struct letters *letters = program->mending->letters;
	struct weir_error *err = program->err;
	struct buf lines = {0};
	uint64_t n;
	int code = letters_do(letters, &(struct letters_request){LETTERS_GROUPS}, &lines, &n, err);
	if (!code)
		code = letters_each_line(&lines, find_last, &program->last, err);
	buf_fini(&lines);
	if (!code && weir_group_new(NULL, &program->group))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = letters_each_page(letters, program->query, mend_page, program, err);
	weir_group_free(program->group);
	return code;
}

/* On a fiber: the children belong to a loop. */
static int run_on_loop(void *arg)
{
	struct program *program = arg;
	const struct plan_adapter *step = &program->plan->steps[0];
	char *exe = cmd_exe_path();
	const struct step_env env = {.concurrency = 1, .most = 1, .exe_path = exe};
	int code = exe ? step->adapter->step->open(step->config, &env, &program->step, program->err)
		       : weir_error_set(program->err, WEIR_ENOMEM, "out of memory");
	if (!code) {
		code = run_program(program);
		step->adapter->step->close(program->step);
	}
	free(exe);
	return code;
}

/* A pipeline of one step, so that the program is checked as that of any other. */
static int load_program(const char *program, struct plan **ret_plan, struct weir_error *err)
{
	struct buf yaml = {0};
	struct weir_error why = {0};
	char *jq_path = cmd_helper_path("weir-jq");
	buf_add_str(&yaml, "source: { stdin: {} }\nsink: { stdout: {} }\nsteps:\n  - jq: ");
	buf_add_json_str(&yaml, program, strlen(program)); /* a JSON string is a YAML one */
	int code = yaml.failed || !jq_path ? weir_error_set(&why, WEIR_ENOMEM, "out of memory")
					   : spec_parse(yaml.data, yaml.len, "--jq", ".",
							&(struct spec_options){.jq_path = jq_path}, ret_plan, &why);
	free(jq_path);
	buf_fini(&yaml);
	return code ? weir_error_set(err, code, "--jq: %s", why.text) : 0;
}

int dead_mend_by_program(struct letters *letters, const char *text, const struct letter_query *query, bool *ret_stayed,
			 struct weir_error *err)
{
	struct mending *self = calloc(1, sizeof *self);
	struct plan *plan = NULL;
	if (!self)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = load_program(text, &plan, err);
	if (!code && plan) {
		struct program program = {.mending = self, .query = query, .plan = plan, .err = err};
		self->letters = letters;
		code = letters_on_loop(letters)
			       ? run_on_loop(&program)
			       : weir_run(&(struct weir_options){.stack_bytes = FIBER_STACK}, run_on_loop, &program);
		code = finish(self, code, ret_stayed, err);
		plan_free(plan);
	}
	free(self);
	return code;
}
