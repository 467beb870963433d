/* SPDX-License-Identifier: MIT */
#include "port/files.h"

#include "data/buf.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MOST = 40 };

/* What tells a file from all others. */
struct identity {
	bool known; /* else it cannot be the same as another */
	dev_t device;
	ino_t inode;             /* of the file; of its folder while there is none */
	char name[NAME_MAX + 1]; /* of a file that does not exist; else empty */
};

/* ---- the list */

int files_add(struct files *files, const struct file_use *use)
{
	struct file_use *uses = reallocarray(files->uses, files->n + 1, sizeof *uses);
	if (!uses)
		return WEIR_ENOMEM;
	files->uses = uses;
	char *path = strdup(use->path), *table = use->table ? strdup(use->table) : NULL;
	if (!path || (use->table && !table)) {
		free(path);
		free(table);
		return WEIR_ENOMEM;
	}
	uses[files->n] = *use;
	uses[files->n].path = path;
	uses[files->n++].table = table;
	return 0;
}

void files_fini(struct files *files)
{
	for (size_t i = 0; i < files->n; i++) {
		free((char *)(uintptr_t)files->uses[i].path);
		free((char *)(uintptr_t)files->uses[i].table);
	}
	free(files->uses);
	*files = (struct files){0};
}

/* ---- which file a path leads to */

/* The folder of a path, with its final slash; empty: the working directory. */
static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? (size_t)(slash - path) + 1 : 0;
}

/* A link that leads nowhere names the file that would be made: *path becomes that name.  False: it is no link. */
static bool follow_link(struct buf *path)
{
	char target[PATH_MAX];
	ssize_t n = readlink(path->data, target, sizeof target);
	if (n <= 0 || n == (ssize_t)sizeof target)
		return false;
	size_t folder = target[0] == '/' ? 0 : folder_length(path->data);
	path->len = folder;
	path->data[folder] = 0;
	return !buf_add(path, target, (size_t)n);
}

/* Of a file that is not there. */
static void identify_missing(struct buf *path, struct identity *identity)
{
	struct stat st;
	for (int links = 0; links < LINKS_MOST && follow_link(path);)
		links++;
	if (path->failed)
		return;
	size_t folder = folder_length(path->data);
	const char *name = path->data + folder;
	size_t n = strlen(name);
	if (!n || n > NAME_MAX)
		return;
	memcpy(identity->name, name, n + 1);
	path->data[folder] = 0;
	if (stat(folder ? path->data : ".", &st))
		return;
	identity->device = st.st_dev;
	identity->inode = st.st_ino;
	identity->known = true;
}

static int identify(const char *path, const char *ending, struct identity *ret_identity)
{
	struct stat st;
	struct buf full = {0};
	*ret_identity = (struct identity){0};
	if (buf_addf(&full, "%s%s", path, ending))
		return WEIR_ENOMEM;
	if (stat(full.data, &st) == 0)
		*ret_identity =
			(struct identity){.known = S_ISREG(st.st_mode), .device = st.st_dev, .inode = st.st_ino};
	else if (errno == ENOENT)
		identify_missing(&full, ret_identity);
	bool failed = full.failed;
	buf_fini(&full);
	return failed ? WEIR_ENOMEM : 0;
}

static bool are_same(const struct identity *a, const struct identity *b)
{
	return a->known && b->known && a->device == b->device && a->inode == b->inode && !strcmp(a->name, b->name);
}

/* ---- the check */

/* A path as it is opened, or a file that SQLite keeps beside it. */
struct leaf {
	const struct file_use *use;
	const char *ending;
	struct identity identity;
};

static bool is_query(const char *table)
{
	return strpbrk(table, " \t\n");
}

static bool may_share(const struct file_use *a, const struct file_use *b)
{
	if (a == b || (!a->written && !b->written) || (a->standard && b->standard))
		return true;
	if (!a->table || !b->table)
		return false;
	if (is_query(a->table) || is_query(b->table))
		return a->updates || b->updates || !(strcasestr(a->table, b->table) || strcasestr(b->table, a->table));
	return strcasecmp(a->table, b->table) != 0 || (a->updates && !b->written) || (b->updates && !a->written);
}

static int refuse(const struct leaf *a, const struct leaf *b, struct weir_error *err)
{
	/* The one that is written is to blame, the later one of two. */
	const struct leaf *blamed = b->use->written ? b : a, *other = blamed == a ? b : a;
	if (err) {
		err->line = blamed->use->line;
		err->column = blamed->use->column;
	}
	if (blamed->use->table && !other->use->written && other->use->table)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s reads what %s writes, table %.60s of %.150s; name another table, or only "
				      "write into rows that are there (`update: true`)",
				      other->use->what, blamed->use->what, blamed->use->table, blamed->use->path);
	if (!strcmp(blamed->use->path, other->use->path) && !strcmp(blamed->ending, other->ending))
		return weir_error_set(err, WEIR_EINVAL, "%s and %s are both %.200s%s; name another file",
				      other->use->what, blamed->use->what, blamed->use->path, blamed->ending);
	return weir_error_set(err, WEIR_EINVAL, "%s, %.150s%s, is the same file as %s, %.150s%s; name another file",
			      blamed->use->what, blamed->use->path, blamed->ending, other->use->what, other->use->path,
			      other->ending);
}

static int list_leaves(const struct files *files, struct leaf *leaves, size_t *ret_n)
{
	static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
	int code = 0;
	*ret_n = 0;
	for (size_t i = 0; i < files->n && !code; i++) {
		size_t n = files->uses[i].database ? sizeof endings / sizeof *endings : 1;
		for (size_t k = 0; k < n && !code; k++, ++*ret_n) {
			leaves[*ret_n] = (struct leaf){.use = &files->uses[i], .ending = endings[k]};
			code = identify(files->uses[i].path, endings[k], &leaves[*ret_n].identity);
		}
	}
	return code;
}

/* Only pairs of which one is written count: a pattern may name many files that are read. */
static int compare_all(const struct leaf *leaves, size_t n, struct weir_error *err)
{
	for (size_t b = 0; b < n; b++) {
		if (!leaves[b].use->written)
			continue;
		for (size_t a = 0; a < n; a++)
			if ((a < b || !leaves[a].use->written) && !may_share(leaves[a].use, leaves[b].use) &&
			    are_same(&leaves[a].identity, &leaves[b].identity))
				return refuse(&leaves[a], &leaves[b], err);
	}
	return 0;
}

int files_check(const struct files *files, struct weir_error *err)
{
	struct leaf *leaves = calloc(4 * files->n + 1, sizeof *leaves);
	size_t n = 0;
	int code = leaves ? list_leaves(files, leaves, &n) : WEIR_ENOMEM;
	code = code ? weir_error_set(err, code, "out of memory") : compare_all(leaves, n, err);
	free(leaves);
	return code;
}
