/* SPDX-License-Identifier: MIT */
#include "state/kept_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/weir.h>

enum { FILE_BYTES_MOST = 4 << 20 };

struct writing {
	const struct kept_file *file;
	const struct buf *text;
	bool sync;
};

int kept_file_init(struct kept_file *file, const char *folder, const char *name)
{
	bool made = asprintf(&file->path, "%s/%s", folder, name) >= 0;
	made = made && asprintf(&file->spare, "%s/%s.new", folder, name) >= 0;
	made = made && (file->folder = strdup(folder));
	return made ? 0 : WEIR_ENOMEM;
}

void kept_file_fini(struct kept_file *file)
{
	free(file->path);
	free(file->spare);
	free(file->folder);
}

struct json *kept_file_read(const struct kept_file *file, bool *ret_absent)
{
	struct buf text = {0};
	struct json *json = NULL;
	int code = buf_read_file(&text, file->path, O_NOFOLLOW | O_NONBLOCK, FILE_BYTES_MOST);
	*ret_absent = code == -ENOENT;
	if (!code)
		json_parse(text.data, text.len, &json, NULL);
	buf_fini(&text);
	return json;
}

static int sync_folder(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = fd < 0 || fsync(fd) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return code;
}

static int write_text(int fd, const struct buf *text)
{
	ssize_t wrote = write(fd, text->data, text->len);
	if (wrote < 0)
		return -errno;
	return wrote == (ssize_t)text->len ? 0 : WEIR_ENOSPC;
}

static int write_on_thread(void *arg)
{
	const struct writing *writing = arg;
	const struct kept_file *file = writing->file;
	int fd = open(file->spare, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	int code = write_text(fd, writing->text);
	if (!code && writing->sync && fsync(fd))
		code = -errno;
	close(fd);
	if (!code && rename(file->spare, file->path))
		code = -errno;
	return code || !writing->sync ? code : sync_folder(file->folder);
}

int kept_file_write(const struct kept_file *file, const struct buf *text, bool sync)
{
	struct writing writing = {file, text, sync};
	if (text->failed)
		return WEIR_ENOMEM;
	weir_shield_enter();
	int code = weir_offload(write_on_thread, &writing, WEIR_FOREVER);
	weir_shield_leave();
	return code;
}
