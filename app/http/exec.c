/* SPDX-License-Identifier: MIT */
/*
 * A token that a program prints: the first line of its output.  It has the environment of weir, since such programs
 * find their own credentials by it.
 *
 * That it fails may pass, or may not: it is taken for a refusal, so that a wrong command ends a run that begins with
 * it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/child.h>

#include "http/token_source.h"

#define RUN_LIMIT   (30 * WEIR_SEC)
#define RENEW_PAUSE (10 * WEIR_SEC)

enum { OUTPUT_MOST = 64 * 1024 };

struct token_program {
	const struct key_strings *exec;
	weir_nsec life;
	void (*read)(const char *output, size_t n, struct http_token_news *news); /* NULL: a token is the first line */
};

/* Where the program lies, as a shell finds it; malloc'ed.  NULL: nowhere. */
static char *find_program(const char *name)
{
	const char *folder = getenv("PATH"), *end;
	if (strchr(name, '/') || !folder)
		return strdup(name);
	for (; *folder; folder = *end ? end + 1 : end) {
		char *path;
		end = folder + strcspn(folder, ":");
		if (asprintf(&path, "%.*s/%s", end > folder ? (int)(end - folder) : 1, end > folder ? folder : ".",
			     name) < 0)
			return NULL;
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

static size_t first_line(const char *text)
{
	return strcspn(text, "\r\n");
}

static void read_end(const struct token_program *self, const struct weir_child_end *end, const char *name,
		     struct http_token_news *news)
{
	size_t n = first_line(end->output);
	int said = (int)first_line(end->complaint);
	news->refused = true;
	if (end->exit_code)
		snprintf(news->why, sizeof news->why, "%.40s %s %d%s%.*s", name,
			 end->signal ? "was killed by signal" : "ended with exit code",
			 end->signal ? end->signal : end->exit_code, said ? ": " : "", said < 120 ? said : 120,
			 end->complaint);
	else if (self->read)
		self->read(end->output, end->output_bytes, news);
	else if (!n)
		snprintf(news->why, sizeof news->why, "%.40s printed no token; check auth.exec", name);
	else
		news->text = strndup(end->output, n);
}

static void read_code(int code, const char *name, struct http_token_news *news)
{
	news->refused = code == -EFBIG || code == WEIR_ENOENT || code == -EACCES || code == -ENOEXEC;
	if (code == WEIR_ETIMEDOUT)
		snprintf(news->why, sizeof news->why, "%.40s took longer than 30 s", name);
	else if (code == -EFBIG)
		snprintf(news->why, sizeof news->why, "%.40s printed more than 64 KiB; check auth.exec", name);
	else
		snprintf(news->why, sizeof news->why, "cannot run %.60s: %s; check auth.exec", name,
			 weir_strerror(code));
}

static void fetch_from_program(void *arg, struct http_token_news *news, weir_nsec deadline)
{
	const struct token_program *self = arg;
	const char *name = self->exec->values[0], **argv = calloc(self->exec->n + 1, sizeof *argv);
	struct weir_child_end end = {0};
	char *path = find_program(name);
	int code = argv ? path ? 0 : WEIR_ENOENT : WEIR_ENOMEM;
	for (size_t i = 0; argv && i < self->exec->n; i++)
		argv[i] = i ? self->exec->values[i] : path;
	if (!code)
		code = weir_child_run(&(struct weir_child_options){.argv = argv,
								   .envp = (const char *const *)environ,
								   .answer_bytes = OUTPUT_MOST,
								   .time_limit = RUN_LIMIT},
				      &end, deadline);
	if (code)
		read_code(code, name, news);
	else
		read_end(self, &end, name, news);
	if (end.output)
		explicit_bzero(end.output, end.output_bytes);
	free(end.output);
	free(end.complaint);
	free(path);
	free(argv);
	if (self->life)
		news->life = self->life;
}

static void close_program(void *arg)
{
	free(arg);
}

int http_token_of_program(const struct key_strings *exec, weir_nsec life,
			  void (*read)(const char *output, size_t n, struct http_token_news *news),
			  struct http_token_source *ret_source)
{
	struct token_program *self = calloc(1, sizeof *self);
	if (!self)
		return WEIR_ENOMEM;
	self->exec = exec;
	self->life = life;
	self->read = read;
	*ret_source = (struct http_token_source){.fetch = fetch_from_program,
						 .close = close_program,
						 .arg = self,
						 .limit = RUN_LIMIT + 5 * WEIR_SEC,
						 .pause = RENEW_PAUSE};
	return 0;
}
