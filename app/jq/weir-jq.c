/* SPDX-License-Identifier: MIT */
/*
 * weir-jq: a jq program in a process of its own.  libjq has no interrupt and aborts when memory runs out, so weir runs
 * it where it can be killed.
 *
 *     weir-jq --check PROGRAM     exits 0, or 1 with one line on standard error that says what is wrong
 *     weir-jq [--vars] PROGRAM    answers lines until end of file
 *
 *     request:  value \n                          with --vars:  value RS source RS meta \n   ($source, $meta)
 *     answer:   output (RS output)* \n            no output: an empty line
 *               ! message \n                      an error; outputs before it do not count
 *
 * RS is the byte 0x1e, which stands in no JSON text.  Each answer is written before the next request is begun, so the
 * first request without an answer is the one being worked on.  Programs see no environment, no files and no modules.
 *
 * jq 1.6 holds numbers as doubles: integers beyond 2^53 lose digits.  It reads values that nest up to 256 deep.
 */
#include <errno.h>
#include <jq.h>
#include <jv.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	READ_BYTES = 64 * 1024,
	LINE_MOST = 16 * 1024 * 1024, /* a request */
	OUT_MOST = 10 * 1024 * 1024,  /* an answer */
	OUT_KEPT = 256 * 1024,        /* memory held from one answer to the next */
	OUTPUTS_MOST = 1000,
	MESSAGE_MOST = 200,
	RS = 0x1e,
};

#define VARS        ".[1] as $source | .[2] as $meta | .[0] | " /* before a program */
#define DEFINITIONS "\n."                                       /* behind one that has no expression */

struct bytes {
	char *data;
	size_t len, room;
};

struct worker {
	jq_state *jq;
	jv_parser *parser;
	bool vars;
	struct bytes in, out;
};

/* What went wrong first in a compilation. */
struct complaint {
	char text[400];
};

_Noreturn static void die_of_memory(void *arg)
{
	(void)arg;
	_exit(3);
}

static void make_room(struct bytes *bytes, size_t more)
{
	if (bytes->room - bytes->len >= more)
		return;
	size_t room = bytes->room ? bytes->room : READ_BYTES;
	while (room < bytes->len + more)
		room *= 2;
	char *data = realloc(bytes->data, room);
	if (!data)
		die_of_memory(NULL);
	bytes->data = data;
	bytes->room = room;
}

static void add(struct bytes *bytes, const char *data, size_t n)
{
	make_room(bytes, n);
	memcpy(bytes->data + bytes->len, data, n);
	bytes->len += n;
}

static void add_char(struct bytes *bytes, char c)
{
	add(bytes, &c, 1);
}

/* Forgets the content, and the memory if it is much. */
static void clear(struct bytes *bytes)
{
	bytes->len = 0;
	if (bytes->room > OUT_KEPT) {
		free(bytes->data);
		*bytes = (struct bytes){0};
	}
}

static bool write_all(const char *data, size_t n)
{
	while (n) {
		ssize_t written = write(STDOUT_FILENO, data, n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		data += written;
		n -= (size_t)written;
	}
	return true;
}

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
	struct complaint *complaint = arg;
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

static bool compile(jq_state *jq, const char *before, const char *program, const char *after, struct complaint *why)
{
	struct bytes text = {0};
	add(&text, before, strlen(before));
	add(&text, program, strlen(program));
	add(&text, after, strlen(after) + 1);
	*why = (struct complaint){0};
	jq_set_error_cb(jq, keep_complaint, why);
	bool good = jq_compile(jq, text.data);
	jq_set_error_cb(jq, NULL, NULL);
	free(text.data);
	return good;
}

/* The variables come from the input, since libjq binds them for a whole program.  Behind a pipe no `import` is
 * allowed, which keeps modules and their files out; a program of definitions alone needs an expression there. */
static bool compile_to_run(jq_state *jq, bool vars, const char *program, struct complaint *why)
{
	const char *before = vars ? VARS : ". | ";
	struct complaint ignored;
	return compile(jq, before, program, "", why) || compile(jq, before, program, DEFINITIONS, &ignored);
}

/* What jq itself says of the program, before anything is put around it. */
static bool compile_alone(jq_state *jq, const char *program, struct complaint *why)
{
	jv vars = jv_object();
	vars = jv_object_set(vars, jv_string("source"), jv_null());
	vars = jv_object_set(vars, jv_string("meta"), jv_null());
	*why = (struct complaint){0};
	jq_set_error_cb(jq, keep_complaint, why);
	bool good = jq_compile_args(jq, program, vars);
	jq_set_error_cb(jq, NULL, NULL);
	return good;
}

static bool is_blank(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr(" \t\r\n", text[i]) || !text[i])
			return false;
	return true;
}

/* Parses the n bytes at text, which end with a newline or a character that is turned into one: the end of a number.
 * One parser serves all texts: after a value it stands at its beginning again; after a failure it is replaced. */
static jv parse(struct worker *worker, char *text, size_t n)
{
	text[n - 1] = '\n';
	jv_parser_set_buf(worker->parser, text, (int)n, 1);
	jv value = jv_parser_next(worker->parser);
	if (jv_is_valid(value)) {
		size_t left = (size_t)jv_parser_remaining(worker->parser);
		if (is_blank(text + n - left, left)) {
			jv_free(jv_parser_next(worker->parser));
			return value;
		}
		jv_free(value);
		value = jv_invalid_with_msg(jv_string("more than one value"));
	} else if (!jv_invalid_has_msg(jv_copy(value))) {
		jv_free(value);
		value = jv_invalid_with_msg(jv_string("the value is not complete"));
	}
	jv_parser_free(worker->parser);
	worker->parser = jv_parser_new(0);
	return value;
}

/* value RS source RS meta, as an array in that order. */
static jv parse_vars(struct worker *worker, char *line, size_t n)
{
	jv all = jv_array_sized(3);
	for (int part = 0; part < 3; part++) {
		char *end = part < 2 ? memchr(line, RS, n) : line + n - 1;
		size_t part_len = end ? (size_t)(end - line) + 1 : 0;
		jv value = end ? parse(worker, line, part_len) : jv_invalid_with_msg(jv_string("a part is missing"));
		if (!jv_is_valid(value)) {
			jv_free(all);
			return value;
		}
		all = jv_array_append(all, value);
		line += part_len;
		n -= part_len;
	}
	return all;
}

/* One line of valid UTF-8; consumes the message. */
static void answer_error(struct bytes *out, const char *before, jv message)
{
	if (jv_get_kind(message) != JV_KIND_STRING)
		message = jv_dump_string(message, 0);
	const char *text = jv_string_value(message);
	size_t len = (size_t)jv_string_length_bytes(jv_copy(message));
	size_t keep = len;
	if (len > MESSAGE_MOST)
		for (keep = MESSAGE_MOST; keep && ((unsigned char)text[keep] & 0xC0) == 0x80; keep--)
			;
	out->len = 0;
	add_char(out, '!');
	add(out, before, strlen(before));
	size_t start = out->len;
	add(out, text, keep);
	for (char *p = out->data + start; p < out->data + out->len; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (keep < len)
		add(out, "...", 3);
	jv_free(message);
}

/* Runs the program on value (consumed) and puts its answer, without the newline, into worker->out. */
static void transform(struct worker *worker, jv value)
{
	struct bytes *out = &worker->out;
	int outputs = 0;
	jv output;
	jq_start(worker->jq, value, 0);
	while (jv_is_valid(output = jq_next(worker->jq))) {
		if (++outputs > OUTPUTS_MOST) {
			jv_free(output);
			answer_error(out, "", jv_string_fmt("more than %d outputs", OUTPUTS_MOST));
			return;
		}
		if (outputs > 1)
			add_char(out, RS);
		jv text = jv_dump_string(output, 0);
		size_t len = (size_t)jv_string_length_bytes(jv_copy(text));
		if (len > OUT_MOST - out->len) {
			jv_free(text);
			answer_error(out, "", jv_string("outputs of more than 10 MiB"));
			return;
		}
		add(out, jv_string_value(text), len);
		jv_free(text);
	}
	if (jq_halted(worker->jq)) {
		jv_free(output);
		answer_error(out, "", jv_string("the program halted"));
	} else if (jv_invalid_has_msg(jv_copy(output))) {
		answer_error(out, "", jv_invalid_get_msg(output));
	} else {
		jv_free(output);
	}
}

/* The parser counts lines over all texts it has seen: "Invalid literal at line 7, column 0". */
static jv without_place(jv message)
{
	const char *text = jv_string_value(message), *place = strstr(text, " at line ");
	jv without = place ? jv_string_sized(text, (int)(place - text)) : jv_copy(message);
	jv_free(message);
	return without;
}

/* Answers one line; n counts its newline. */
static bool answer(struct worker *worker, char *line, size_t n)
{
	jv value = worker->vars ? parse_vars(worker, line, n) : parse(worker, line, n);
	if (jv_is_valid(value))
		transform(worker, value);
	else
		answer_error(&worker->out, "not json: ", without_place(jv_invalid_get_msg(value)));
	add_char(&worker->out, '\n');
	bool sent = write_all(worker->out.data, worker->out.len);
	clear(&worker->out);
	return sent;
}

/* Answers the whole lines that are there and keeps the beginning of the next. */
static bool answer_lines(struct worker *worker, size_t seen)
{
	struct bytes *in = &worker->in;
	char *line = in->data, *end = in->data + in->len, *newline, *from = in->data + seen;
	while ((newline = memchr(from, '\n', (size_t)(end - from)))) {
		if (!answer(worker, line, (size_t)(newline - line) + 1))
			return false;
		line = from = newline + 1;
	}
	size_t left = (size_t)(end - line);
	if (!left) {
		clear(in);
	} else if (line != in->data) {
		memmove(in->data, line, left);
		in->len = left;
	}
	return left <= LINE_MOST;
}

static int serve(struct worker *worker)
{
	struct bytes *in = &worker->in;
	for (;;) {
		make_room(in, READ_BYTES);
		ssize_t n = read(STDIN_FILENO, in->data + in->len, in->room - in->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0;
		size_t seen = in->len;
		in->len += (size_t)n;
		if (!answer_lines(worker, seen))
			return 1;
	}
}

/* Ends with its parent; and leaves the keys of the terminal to it. */
static bool isolate(void)
{
	static const struct rlimit no_core;
	pid_t parent = getppid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	setrlimit(RLIMIT_CORE, &no_core);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return getppid() == parent;
}

/* A compilation takes libjq 17 ms, for it compiles its own definitions, too; so a usual program is compiled once.  What
 * parses behind a pipe parses alone: only one that does not needs to be asked about as it stands. */
static int check(jq_state *jq, const char *program)
{
	struct complaint why, ignored;
	if (compile(jq, VARS, program, "", &why))
		return 0;
	struct complaint wrapped = why;
	if (!compile_alone(jq, program, &why)) {
		fprintf(stderr, "%s\n", why.text[0] ? why.text : "the program does not compile");
		return 1;
	}
	if (!compile(jq, VARS, program, DEFINITIONS, &ignored)) {
		fprintf(stderr, "%s (modules cannot be used)\n", wrapped.text);
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *mode = argc == 3 ? argv[1] : "";
	bool checking = !strcmp(mode, "--check"), vars = !strcmp(mode, "--vars");
	struct complaint why;
	if (argc != 2 && !checking && !vars) {
		fputs("usage: weir-jq [--check | --vars] PROGRAM\n", stderr);
		return 64;
	}
	if (!checking && !isolate())
		return 1;
	static char *nothing[] = {NULL};
	environ = nothing;
	jq_state *jq = jq_init();
	if (!jq)
		return 3;
	jq_set_nomem_handler(jq, die_of_memory, NULL);
	/* jq_init() leaves these two as malloc found them. */
	jq_set_input_cb(jq, NULL, NULL);
	jq_set_debug_cb(jq, NULL, NULL);
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	const char *program = argv[argc - 1];
	int result = 1;
	if (checking) {
		result = check(jq, program);
	} else if (compile_to_run(jq, vars, program, &why)) {
		struct worker worker = {.jq = jq, .parser = jv_parser_new(0), .vars = vars};
		result = serve(&worker);
	} else {
		fprintf(stderr, "%s\n", why.text);
	}
	/* libjq leaks after a failed compilation: all memory goes with the process. */
	fflush(stderr);
	_exit(result);
}
