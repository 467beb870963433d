/* SPDX-License-Identifier: MIT */
/*
 * What was learnt of the upstreams, kept for the next run: `learnt.json` in the state folder.
 *
 *     {"version":1,"upstreams":{"http://host:80":{"limit":37.2,"per_sec":0,"floor_ms":12.5}}}
 *
 * It is written beside and renamed, at the end of a run and every minute, so that a kill costs a minute of knowledge
 * and never leaves half a file.  It is only a hint: what is damaged is told and left out, what cannot be written is as
 * if nothing had been learnt.  An upstream that this run did not speak to keeps its line, as long as there are few.
 */
#include "engine/internal.h"

#include "port/json.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { UPSTREAMS_MOST = 1000, FILE_BYTES_MOST = 1 << 20 };

#define WRITE_PERIOD (60 * WEIR_SEC)

struct upstream {
	char *key;
	struct weir_learnt learnt;
};

struct learnt {
	struct upstream upstreams[UPSTREAMS_MOST];
	size_t n;
	char *path, *spare_path;
	char *written; /* what the file holds, as far as this run has written it */
};

static bool is_sane(const struct weir_learnt *learnt)
{
	return isfinite(learnt->limit) && learnt->limit >= 0 && learnt->limit <= 1e6 && isfinite(learnt->per_sec) &&
	       learnt->per_sec >= 0 && learnt->per_sec <= 1e9 && learnt->floor >= 0 && learnt->floor <= 3600 * WEIR_SEC;
}

static void keep(struct learnt *all, const char *key, const struct weir_learnt *learnt)
{
	size_t at = 0;
	while (at < all->n && strcmp(all->upstreams[at].key, key) != 0)
		at++;
	if (at == UPSTREAMS_MOST) {
		free(all->upstreams[0].key);
		memmove(all->upstreams, all->upstreams + 1, (UPSTREAMS_MOST - 1) * sizeof *all->upstreams);
		at = --all->n;
	}
	if (at == all->n) {
		char *copy = strdup(key);
		if (!copy)
			return;
		all->upstreams[all->n++] = (struct upstream){.key = copy};
	}
	all->upstreams[at].learnt = *learnt;
}

/* ---- reading */

static double number(const struct json *json, const char *name)
{
	const struct json *value = json_member(json, name);
	bool is_number = value && (json_type(value) == JSON_NUMBER_INT || json_type(value) == JSON_NUMBER_REAL);
	return is_number ? json_real(value) : -1;
}

static bool take_all(struct learnt *all, const struct json *json)
{
	const struct json *upstreams = json_member(json, "upstreams"), *name, *value;
	size_t pos = 0, len;
	if (!upstreams || json_type(upstreams) != JSON_OBJECT || number(json, "version") != 1)
		return false;
	while ((value = json_next(upstreams, &pos, &name))) {
		double floor_ms = number(value, "floor_ms");
		struct weir_learnt learnt = {.limit = number(value, "limit"), .per_sec = number(value, "per_sec")};
		learnt.floor = floor_ms >= 0 && floor_ms < 1e9 ? (weir_nsec)(floor_ms * (double)WEIR_MSEC) : -1;
		if (!is_sane(&learnt))
			return false;
		keep(all, json_text(name, &len), &learnt);
	}
	return true;
}

static bool read_file(const char *path, struct buf *out, bool *ret_absent)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	*ret_absent = fd < 0 && errno == ENOENT;
	char *to = fd < 0 ? NULL : buf_reserve(out, FILE_BYTES_MOST + 1);
	ssize_t got = to ? 1 : -1;
	while (got > 0 && out->len <= FILE_BYTES_MOST) {
		got = read(fd, to + out->len, FILE_BYTES_MOST + 1 - out->len);
		out->len += got > 0 ? (size_t)got : 0;
	}
	if (fd >= 0)
		close(fd);
	return got == 0;
}

static void read_all(struct engine *engine, struct learnt *all)
{
	struct buf text = {0};
	struct json *json = NULL;
	bool absent, good = read_file(all->path, &text, &absent) && !json_parse(text.data, text.len, &json, NULL) &&
			    take_all(all, json);
	json_free(json);
	buf_fini(&text);
	if (absent)
		return;
	if (!good)
		engine_note(engine, "%s is damaged: what an earlier run learnt of the upstreams is left out",
			    all->path);
	for (size_t i = 0; good && i < all->n; i++)
		weir_policy_recall(engine->policy, all->upstreams[i].key, &all->upstreams[i].learnt);
}

/* ---- writing */

static int take_gate(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	struct learnt *all = arg;
	struct weir_learnt learnt = stats->learnt;
	if (!stats->calls || !*key || !is_sane(&learnt))
		return 0;
	for (size_t i = 0; i < all->n && !stats->adaptive; i++)
		if (!strcmp(all->upstreams[i].key, key))
			learnt.limit = all->upstreams[i].learnt.limit; /* nothing new was learnt of it */
	keep(all, key, &learnt);
	return 0;
}

static void write_text(const struct learnt *all, struct buf *out)
{
	buf_add_str(out, "{\"version\":1,\"upstreams\":{");
	for (size_t i = 0; i < all->n; i++) {
		const struct weir_learnt *learnt = &all->upstreams[i].learnt;
		buf_add_str(out, i ? ",\n" : "\n");
		buf_add_json_str(out, all->upstreams[i].key, strlen(all->upstreams[i].key));
		buf_addf(out, ":{\"limit\":%.1f,\"per_sec\":%.3f,\"floor_ms\":%.3f}", learnt->limit, learnt->per_sec,
			 (double)learnt->floor / (double)WEIR_MSEC);
	}
	buf_add_str(out, "\n}}\n");
}

struct writing {
	const struct learnt *all;
	const struct buf *text;
};

static int write_on_thread(void *arg)
{
	const struct writing *writing = arg;
	int fd = open(writing->all->spare_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	bool good = write(fd, writing->text->data, writing->text->len) == (ssize_t)writing->text->len;
	close(fd);
	return good && !rename(writing->all->spare_path, writing->all->path) ? 0 : WEIR_EIO;
}

void engine_learnt_write(struct engine *engine)
{
	struct learnt *all = engine->learnt;
	struct buf text = {0};
	if (!all)
		return;
	weir_policy_gates(engine->policy, take_gate, all);
	write_text(all, &text);
	if (all->n && !text.failed && (!all->written || strcmp(all->written, text.data) != 0)) {
		struct writing writing = {all, &text};
		weir_shield_enter();
		if (!weir_offload(write_on_thread, &writing, WEIR_FOREVER)) {
			free(all->written);
			all->written = buf_take(&text, NULL);
		}
		weir_shield_leave();
	}
	buf_fini(&text);
}

int engine_keep_learnt(void *arg)
{
	while (!weir_sleep(WRITE_PERIOD))
		engine_learnt_write(arg);
	return 0;
}

/* ---- life */

void engine_learnt_free(struct engine *engine)
{
	struct learnt *all = engine->learnt;
	engine->learnt = NULL;
	for (size_t i = 0; all && i < all->n; i++)
		free(all->upstreams[i].key);
	if (all) {
		free(all->path);
		free(all->spare_path);
		free(all->written);
	}
	free(all);
}

int engine_learnt_open(struct engine *engine)
{
	if (!engine->opts.state)
		return 0;
	engine->learnt = calloc(1, sizeof *engine->learnt);
	if (!engine->learnt || asprintf(&engine->learnt->path, "%s/learnt.json", engine->opts.state) < 0 ||
	    asprintf(&engine->learnt->spare_path, "%s/learnt.json.new", engine->opts.state) < 0)
		return WEIR_ENOMEM;
	read_all(engine, engine->learnt);
	return 0;
}
