/* SPDX-License-Identifier: MIT */
/*
 * weir-jq: a jq program in a process of its own.  libjq has no interrupt and aborts when memory runs out, so weir runs
 * it where it can be killed.
 *
 *     weir-jq --check           exits 0, or 1 with one line on standard error that says what is wrong
 *     weir-jq MOST [--vars]     answers lines until end of file, with at most so many outputs each
 *
 * The program comes first on the standard input and ends with a NUL or the end of file.  It may hold a secret, and all
 * users can see the arguments of a process.  Then, a line each:
 *
 *     request:  number value \n               with --vars:  number value RS source RS meta \n   ($source, $meta)
 *     answer:   number output (RS output)* \n  no output: nothing behind the number and its blank
 *               number ! message \n            an error; outputs before it do not count
 *               number ? after message \n      the error asks to try again, so many milliseconds later
 *
 * RS is the byte 0x1e, which stands in no JSON text.  Each answer is written before the next request is begun, so the
 * first request without an answer is the one being worked on.  Out of memory, weir-jq answers the request with that and
 * exits.  Programs see no environment, no files and no modules.
 *
 * Numbers that jq 1.6 would round pass it as marked strings (digits.h).  It reads values that nest up to 256 deep.
 */
#include "jq/digits.h"
#include "jq/program.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "data/buf.h"

enum {
	READ_BYTES = 64 * 1024,
	LINE_MOST = 16 * 1024 * 1024, /* a request */
	OUT_MOST = 10 * 1024 * 1024,  /* an answer */
	OUT_KEPT = 256 * 1024,        /* memory held from one answer to the next */
	PROGRAM_MOST = 1024 * 1024,
	MESSAGE_MOST = 200,
	RS = 0x1e,
};

static const double AFTER_MOST_S = 1e9; /* beyond any wait */

struct jq_worker {
	jq_state *jq;
	jv_parser *parser;
	bool vars;
	long most; /* outputs of a line */
	struct buf in, out;
	const char *program;
	bool makes_numbers; /* it has tonumber in it */
	/* The program for texts with numbers of many digits; NULL: none has come. */
	jq_state *careful;
	unsigned mark; /* that it knows */
	struct buf marked;
};

/* "17 ", of the request that is being worked on; empty: none is. */
static char number[24];
static size_t number_bytes;

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

/* Answers are written whole, so nothing stands before this one on its line. */
_Noreturn static void die_of_memory(void *arg)
{
	(void)arg;
	char text[120];
	struct rlimit limit = {0};
	getrlimit(RLIMIT_AS, &limit);
	int n = snprintf(text, sizeof text, "%.*s!out of memory (limited to %llu MiB)\n", (int)number_bytes, number,
			 (unsigned long long)limit.rlim_cur >> 20);
	if (number_bytes)
		write_all(text, (size_t)n);
	_exit(3);
}

static jq_state *new_jq(void)
{
	jq_state *jq = jq_init();
	if (!jq)
		return NULL;
	jq_set_nomem_handler(jq, die_of_memory, NULL);
	/* jq_init() leaves these two as malloc found them. */
	jq_set_input_cb(jq, NULL, NULL);
	jq_set_debug_cb(jq, NULL, NULL);
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	return jq;
}

/* Forgets the content, and the memory if it is much. */
static void clear(struct buf *buf)
{
	if (buf->room > OUT_KEPT)
		buf_fini(buf);
	else
		buf_clear(buf);
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
static jv parse(struct jq_worker *worker, char *text, size_t n)
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
		value = jv_invalid_with_msg(jv_string("incomplete value"));
	}
	jv_parser_free(worker->parser);
	worker->parser = jv_parser_new(0);
	return value;
}

/* value RS source RS meta, as an array in that order. */
static jv parse_vars(struct jq_worker *worker, char *line, size_t n)
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

/* Writes a mark and what goes with it, and the message (consumed) as one line of valid UTF-8. */
static void answer_failure(struct buf *out, const char *mark, jv message)
{
	if (jv_get_kind(message) != JV_KIND_STRING)
		message = jv_dump_string(message, 0);
	const char *text = jv_string_value(message);
	size_t len = (size_t)jv_string_length_bytes(jv_copy(message));
	size_t keep = len;
	if (len > MESSAGE_MOST)
		for (keep = MESSAGE_MOST; keep && ((unsigned char)text[keep] & 0xC0) == 0x80; keep--)
			;
	out->len = number_bytes;
	buf_add_str(out, mark);
	size_t start = out->len;
	buf_add(out, text, keep);
	for (char *p = out->data + start; p < out->data + out->len; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (keep < len)
		buf_add_str(out, "...");
	jv_free(message);
}

static void answer_error(struct buf *out, jv message)
{
	answer_failure(out, "!", message);
}

static bool asks_to_try_again(jv message)
{
	if (jv_get_kind(message) != JV_KIND_OBJECT)
		return false;
	jv retry = jv_object_get(jv_copy(message), jv_string("retry"));
	bool asks = jv_get_kind(retry) == JV_KIND_TRUE;
	jv_free(retry);
	return asks;
}

/* What error({retry: true, after: 2, why: "..."}) says; consumes it.  after and why may be left out. */
static void answer_retry(struct buf *out, jv message)
{
	jv after = jv_object_get(jv_copy(message), jv_string("after"));
	jv why = jv_object_get(message, jv_string("why"));
	jv_kind kind = jv_get_kind(after);
	double seconds = kind == JV_KIND_NUMBER ? jv_number_value(after) : 0;
	seconds = seconds > AFTER_MOST_S ? AFTER_MOST_S : seconds > 0 ? seconds : 0;
	char mark[32];
	snprintf(mark, sizeof mark, "?%lld ", (long long)(seconds * 1000 + 0.999));
	if (kind != JV_KIND_NUMBER && kind != JV_KIND_NULL && kind != JV_KIND_INVALID) {
		jv_free(why);
		answer_error(out, jv_string("the error asks to try again, but `after` is not a number of seconds"));
	} else if (jv_is_valid(why)) {
		answer_failure(out, mark, why);
	} else {
		jv_free(why);
		answer_failure(out, mark, jv_string("the program asks to try again"));
	}
	jv_free(after);
}

/* For what nests deeper than 256 jq 1.6 writes words in angle brackets, which differ from version to version. */
static bool is_cut(const char *text)
{
	bool inside = false;
	if (!strchr(text, '<'))
		return false;
	for (; *text && (inside || *text != '<'); text++) {
		if (*text == '"')
			inside = !inside;
		else if (*text == '\\')
			text++;
	}
	return *text == '<';
}

/* Runs the program on value (consumed) and puts its outputs into worker->out, behind the number. */
static void transform(struct jq_worker *worker, jq_state *jq, jv value)
{
	struct buf *out = &worker->out;
	long outputs = 0;
	jv output;
	jq_start(jq, value, 0);
	while (jv_is_valid(output = jq_next(jq))) {
		if (++outputs > worker->most) {
			jv_free(output);
			answer_error(out, jv_string_fmt("more than %ld outputs (max_outputs)", worker->most));
			return;
		}
		if (outputs > 1)
			buf_add_char(out, RS);
		jv text = jv_dump_string(output, 0);
		size_t len = (size_t)jv_string_length_bytes(jv_copy(text));
		if (out->len + len > OUT_MOST) {
			jv_free(text);
			answer_error(out, jv_string("outputs over 10 MiB"));
			return;
		}
		if (is_cut(jv_string_value(text))) {
			jv_free(text);
			answer_error(out, jv_string("an output nested deeper than 256 levels"));
			return;
		}
		buf_add(out, jv_string_value(text), len);
		jv_free(text);
	}
	if (jq_halted(jq)) {
		jv_free(output);
		answer_error(out, jv_string("the program halted"));
	} else if (jv_invalid_has_msg(jv_copy(output))) {
		jv message = jv_invalid_get_msg(output);
		asks_to_try_again(message) ? answer_retry(out, message) : answer_error(out, message);
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

/* Keeps the number and its blank, at the beginning of a request: their length, 0 if there is none. */
static size_t take_number(const char *line, size_t n)
{
	size_t digits = 0;
	while (digits < n && line[digits] >= '0' && line[digits] <= '9')
		digits++;
	if (!digits || digits + 1 > sizeof number || line[digits] != ' ')
		return 0;
	memcpy(number, line, digits + 1);
	return digits + 1;
}

static void answer_text(struct jq_worker *worker, jq_state *jq, char *text, size_t n)
{
	jv value = worker->vars ? parse_vars(worker, text, n) : parse(worker, text, n);
	if (jv_is_valid(value))
		transform(worker, jq, value);
	else
		answer_failure(&worker->out, "!not json: ", without_place(jv_invalid_get_msg(value)));
}

/* The program as it is compiled for this mark. */
static jq_state *careful_program(struct jq_worker *worker, unsigned mark)
{
	struct program_complaint why;
	if (worker->careful && worker->mark == mark)
		return worker->careful;
	jq_teardown(&worker->careful);
	worker->mark = mark;
	worker->careful = new_jq();
	char *definitions = digits_definitions(mark);
	if (!worker->careful || !definitions)
		die_of_memory(NULL);
	bool good = program_compile(worker->careful, worker->vars, definitions, worker->program, &why);
	free(definitions);
	if (!good)
		jq_teardown(&worker->careful);
	return worker->careful;
}

/* The same for a text in which numbers may have many digits, or texts that the program makes numbers of. */
static void answer_carefully(struct jq_worker *worker, char *text, size_t n)
{
	struct buf *marked = &worker->marked, *out = &worker->out;
	unsigned mark = worker->mark;
	size_t count = 0;
	char *to = buf_reserve(marked, DIGITS_GROWTH * n);
	if (!to)
		die_of_memory(NULL);
	n = digits_mark(text, n, &mark, to, &count);
	if (n && !count && !worker->makes_numbers) {
		answer_text(worker, worker->jq, text, n);
	} else if (n && careful_program(worker, mark)) {
		answer_text(worker, worker->careful, to, n);
		out->len = number_bytes + digits_restore(out->data + number_bytes, out->len - number_bytes, mark);
	} else {
		answer_error(out, jv_string("a number has more digits than jq keeps"));
	}
	clear(marked);
}

/* Answers one line; n counts its newline. */
static bool answer(struct jq_worker *worker, char *line, size_t n)
{
	number_bytes = take_number(line, n);
	if (!number_bytes)
		return false;
	buf_add(&worker->out, number, number_bytes);
	line += number_bytes;
	n -= number_bytes;
	if (digits_are_many(line, n))
		answer_carefully(worker, line, n);
	else
		answer_text(worker, worker->jq, line, n);
	if (buf_add_char(&worker->out, '\n'))
		die_of_memory(NULL);
	bool sent = write_all(worker->out.data, worker->out.len);
	number_bytes = 0;
	clear(&worker->out);
	return sent;
}

/* Answers the whole lines that are there and keeps the beginning of the next. */
static bool answer_lines(struct jq_worker *worker, size_t seen)
{
	struct buf *in = &worker->in;
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
	return left <= LINE_MOST + sizeof number;
}

/* What read() says of more input. */
static ssize_t read_more(struct buf *in)
{
	ssize_t n;
	char *to = buf_reserve(in, READ_BYTES);
	if (!to)
		die_of_memory(NULL);
	do
		n = read(STDIN_FILENO, to, in->room - in->len - 1);
	while (n < 0 && errno == EINTR);
	in->len += n > 0 ? (size_t)n : 0;
	return n;
}

/* The program, and in *in what came behind it; NULL if it is not to be had. */
static char *read_program(struct buf *in)
{
	char *end = NULL, *program;
	size_t seen = 0;
	ssize_t n = 1;
	while (n > 0 && !end && seen <= PROGRAM_MOST) {
		n = read_more(in);
		end = n > 0 ? memchr(in->data + seen, 0, in->len - seen) : NULL;
		seen = in->len;
	}
	if (n < 0 || seen > PROGRAM_MOST + READ_BYTES)
		return NULL;
	size_t len = end ? (size_t)(end - in->data) : in->len, taken = end ? len + 1 : len;
	program = strndup(in->data, len);
	in->len -= taken;
	memmove(in->data, in->data + taken, in->len);
	return program;
}

/* Requests may have come together with the program. */
static int serve(struct jq_worker *worker)
{
	struct buf *in = &worker->in;
	size_t seen = 0;
	for (;;) {
		if (in->len && !answer_lines(worker, seen))
			return 1;
		seen = in->len;
		ssize_t n = read_more(in);
		if (n <= 0)
			return n < 0;
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

int main(int argc, char **argv)
{
	const char *mode = argc > 1 ? argv[argc - 1] : "";
	bool checking = !strcmp(mode, "--check"), vars = !strcmp(mode, "--vars");
	long most = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	struct program_complaint why;
	struct buf in = {0};
	if (!checking && (most < 1 || argc > 2 + vars)) {
		fputs("usage: weir-jq --check | MOST [--vars], the program on the standard input\n", stderr);
		return 64;
	}
	if (!checking && !isolate())
		return 1;
	static char *nothing[] = {NULL};
	environ = nothing;
	jq_state *jq = new_jq();
	if (!jq)
		return 3;
	const char *program = read_program(&in);
	int result = 1;
	if (!program) {
		fputs("no program\n", stderr);
		result = 64;
	} else if (checking) {
		result = program_check(jq, program);
	} else if (program_compile(jq, vars, "", program, &why)) {
		struct jq_worker worker = {.jq = jq,
					   .parser = jv_parser_new(0),
					   .vars = vars,
					   .most = most,
					   .in = in,
					   .program = program,
					   .makes_numbers = strstr(program, "tonumber")};
		result = serve(&worker);
	} else {
		fprintf(stderr, "%s\n", why.text);
	}
	/* libjq leaks after a failed compilation: all memory goes with the process. */
	fflush(stderr);
	_exit(result);
}
