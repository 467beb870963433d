/* SPDX-License-Identifier: MIT */
#include "files/inputs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#include "data/pattern.h"

#define FRESH "start over with --fresh"

/* ---- looking them up */

struct search {
	const char *path;
	struct source_files *files;
	struct weir_error *err;
	bool done;
};

static int learn(struct source_entry *entry, struct weir_error *err)
{
	struct source_file file;
	int code = source_file_open(entry->path, &file, err);
	if (!code && !file.regular)
		code = weir_error_set(err, WEIR_EINVAL,
				      "%s is not a regular file; a pattern may match only regular files", entry->path);
	entry->known = file.known;
	source_file_close(&file);
	return code;
}

/* Takes the paths over. */
static int learn_all(struct source_files *files, struct pattern_paths *paths, struct weir_error *err)
{
	int code = 0;
	files->all = calloc(paths->n, sizeof *files->all);
	if (!files->all)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	for (; !code && files->n < paths->n; files->n++) {
		struct source_entry *entry = &files->all[files->n];
		entry->path = paths->paths[files->n];
		paths->paths[files->n] = NULL;
		const char *slash = strrchr(entry->path, '/');
		entry->name = slash ? slash + 1 : entry->path;
		code = paths->matched ? learn(entry, err) : 0;
	}
	return code;
}

static int find_on_thread(void *arg)
{
	struct search *search = arg;
	struct pattern_paths paths;
	search->done = true;
	int code = pattern_expand(search->path, &paths, search->err);
	if (code)
		return code;
	search->files->pattern = paths.matched ? search->path : NULL;
	code = learn_all(search->files, &paths, search->err);
	pattern_paths_fini(&paths);
	return code;
}

int source_files_find(const char *path, struct source_files *ret_files, struct weir_error *err)
{
	struct source_files files = {0};
	struct search search = {.path = path, .files = &files, .err = err};
	int code = 0;
	if (path && strpbrk(path, "*?["))
		code = weir_offload(find_on_thread, &search, WEIR_FOREVER);
	else if (path)
		code = find_on_thread(&search);
	else if (!(files.all = calloc(1, sizeof *files.all)))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	else
		files.n = 1;
	if (!search.done && code)
		weir_error_set(err, code, "cannot open %s: %s", path ? path : "the standard input",
			       weir_strerror(code));
	if (code)
		source_files_fini(&files);
	else
		*ret_files = files;
	return code;
}

void source_files_fini(struct source_files *files)
{
	for (size_t i = 0; files->all && i < files->n; i++)
		free(files->all[i].path);
	free(files->all);
	*files = (struct source_files){0};
}

/* ---- knowing them again */

void source_files_identify(const struct source_files *files, struct buf *identity)
{
	for (size_t i = 0; i < files->n; i++) {
		source_known_identify(&files->all[i].known, identity);
		buf_addf(identity, " name=%s\n", files->all[i].name);
	}
}

/* A line of an identity. */
struct recalled {
	struct source_known known;
	char name[256];
};

/* Reads the line, and steps over it. */
static bool read_line(const char **at, struct recalled *was)
{
	static const char mark[] = " name=";
	size_t n = strcspn(*at, "\n");
	const char *name = memmem(*at, n, mark, strlen(mark));
	if (!name || !source_file_recall(*at, &was->known))
		return false;
	name += strlen(mark);
	size_t length = (size_t)(*at + n - name);
	if (length >= sizeof was->name)
		return false;
	memcpy(was->name, name, length);
	was->name[length] = 0;
	*at += n + ((*at)[n] == '\n');
	return true;
}

static int compare(const void *name, const void *entry)
{
	return strcmp(name, ((const struct source_entry *)entry)->name);
}

static bool is_same(const struct source_known *was, const struct source_known *is)
{
	return was->inode == is->inode && was->head_bytes == is->head_bytes && was->head_crc == is->head_crc;
}

/* Of a file from which something was read: as of one that is a source alone.  It is opened only if it may differ. */
static int check_read(const struct source_entry *entry, const struct source_known *was, bool adopt,
		      struct weir_error *err)
{
	struct source_file file;
	int code = source_file_open(entry->path, &file, err);
	if (!code)
		code = source_file_check(&file, was, adopt, err);
	source_file_close(&file);
	return code;
}

static int check_unread(const struct source_entry *entry, const struct source_known *was, struct weir_error *err)
{
	struct weir_error why;
	if (!check_read(entry, was, false, &why))
		return 0;
	return weir_error_set(
		err, WEIR_EINVAL,
		"%s has changed since this run began, and was not read yet: read it as it is with --adopt, or " FRESH,
		entry->path);
}

struct recall {
	const struct source_files *files;
	const struct source_reached *reached;
	bool adopt;
	struct source_entry *order; /* the files as they are to be read */
	bool *taken;                /* which of `files` are in it */
	size_t n;
	uint64_t bytes;                     /* of the files before the reached one; */
	const struct source_entry *changed; /* the first of them that had another size, */
	uint64_t size_was;                  /* this one */
};

static int recall_file(struct recall *recall, const struct recalled *was, struct weir_error *err)
{
	const struct source_files *files = recall->files;
	const struct source_reached *reached = recall->reached;
	const struct source_entry *entry = bsearch(was->name, files->all, files->n, sizeof *entry, compare);
	bool is_read = reached->begun && recall->n <= reached->at;
	if (!entry || recall->taken[entry - files->all])
		return weir_error_set(
			err, WEIR_EINVAL,
			"%s is missing from %s, which matched it when this run began; put it back, or " FRESH,
			was->name, files->pattern);
	if (!is_same(&was->known, &entry->known) && (is_read || !recall->adopt)) {
		int code = is_read ? check_read(entry, &was->known, recall->adopt, err)
				   : check_unread(entry, &was->known, err);
		if (code)
			return code;
	}
	recall->taken[entry - files->all] = true;
	if (is_read && recall->n < reached->at) {
		recall->bytes += entry->known.size;
		if (!recall->changed && entry->known.size != was->known.size) {
			recall->changed = entry;
			recall->size_was = was->known.size;
		}
	}
	recall->order[recall->n++] = *entry;
	return 0;
}

/* The files before have to be as long as they were when they were read: what was added since would never be read. */
static int check_sizes(const struct recall *recall, struct weir_error *err)
{
	const struct source_reached *reached = recall->reached;
	if (!reached->begun || recall->bytes == reached->bytes_before)
		return 0;
	if (recall->changed)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s has changed since it was read to its end: it had %" PRIu64
				      " bytes and has %" PRIu64 "; restore it, or " FRESH,
				      recall->changed->path, recall->size_was, recall->changed->known.size);
	return weir_error_set(err, WEIR_EINVAL,
			      "the files of %s before %s have changed since they were read: they had %" PRIu64
			      " bytes and have %" PRIu64 "; restore them, or " FRESH,
			      recall->files->pattern, recall->order[reached->at].name, reached->bytes_before,
			      recall->bytes);
}

static int recall_all(struct recall *recall, const char *identity, struct weir_error *err)
{
	const char *at = identity;
	struct recalled was;
	while (*at) {
		if (!read_line(&at, &was))
			return weir_error_set(
				err, WEIR_EINVAL,
				"%s was a different source when this run began (%.*s); restore that, or " FRESH,
				recall->files->pattern, (int)strcspn(at, "\n"), at);
		int code = recall_file(recall, &was, err);
		if (code)
			return code;
	}
	if (recall->reached->begun && recall->reached->at >= recall->n)
		return weir_error_set(err, WEIR_EINVAL, "invalid position in the files of %s; " FRESH,
				      recall->files->pattern);
	return check_sizes(recall, err);
}

int source_files_recall(struct source_files *files, const char *identity, const struct source_reached *reached,
			bool adopt, struct weir_error *err)
{
	struct recall recall = {.files = files, .reached = reached, .adopt = adopt};
	int code = WEIR_ENOMEM;
	recall.order = calloc(files->n, sizeof *recall.order);
	recall.taken = calloc(files->n, sizeof *recall.taken);
	if (!recall.order || !recall.taken) {
		weir_error_set(err, code, "out of memory");
		goto done;
	}
	code = recall_all(&recall, identity, err);
	if (code)
		goto done;
	for (size_t i = 0; i < files->n; i++)
		if (!recall.taken[i])
			recall.order[recall.n++] = files->all[i];
	free(files->all);
	files->all = recall.order;
	recall.order = NULL;
done:
	free(recall.order);
	free(recall.taken);
	return code;
}
