/* SPDX-License-Identifier: MIT */
/*
 * The state folder is looked at first: an earlier run decides what its source and its sinks should be like.  It is held
 * for that moment alone, so that a run may begin meanwhile.
 */
#include "cmd/online.h"

#include "cmd/descriptors.h"
#include "cmd/paths.h"
#include "cmd/session.h"
#include "data/terminal.h"
#include "engine/probe.h"
#include "state/folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <weir/weir.h>

enum { COLUMNS = 80, INDENT = 4 };

struct online {
	const struct plan *plan;
	const char *state;
	char *exe_path;
	int exit_code;
};

/* In lines of 80 columns. */
static void print(const char *what, const char *text)
{
	struct buf all = {0}, line = {0};
	buf_addf(&all, "%s: %s", what, text);
	terminal_add(&line, all.failed ? "out of memory" : all.data);
	const char *rest = line.failed ? "out of memory" : line.data;
	for (size_t indent = 0; *rest; indent = INDENT) {
		size_t n = terminal_fold(rest, COLUMNS - indent);
		printf("%*s%.*s\n", (int)indent, "", (int)n, rest);
		rest += n + strspn(rest + n, " ");
	}
	buf_fini(&all);
	buf_fini(&line);
}

/* One that must be changed counts more than one that may be well later. */
static void note_exit(struct online *online, int exit_code)
{
	if (exit_code && online->exit_code != EX_CONFIG)
		online->exit_code = exit_code == EX_CONFIG ? EX_CONFIG : EX_UNAVAILABLE;
}

static void say_wrong(struct online *online, const char *what, int exit_code, const char *text)
{
	char whole[600];
	snprintf(whole, sizeof whole, "error: %s", text);
	print(what, whole);
	note_exit(online, exit_code);
}

static void tell(void *arg, const struct probe_result *result)
{
	char what[80];
	snprintf(what, sizeof what, "%s %s", result->part, result->adapter);
	if (result->exit_code)
		say_wrong(arg, what, result->exit_code, result->text);
	else
		print(what, result->text);
}

/* ---- the state folder */

/* The folder that is there, in which the missing ones are made. */
static int check_parent(const char *path, struct weir_error *err)
{
	char *parent = strdup(path), *slash;
	if (!parent)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	while (access(parent, F_OK) && (slash = strrchr(parent, '/')) && slash != parent)
		*slash = 0;
	const char *folder = !access(parent, F_OK) ? parent : *parent == '/' ? "/" : ".";
	int code = access(folder, W_OK | X_OK) ? -errno : 0;
	free(parent);
	return code ? weir_error_set(err, code, "cannot create the state folder %s: %s", path, weir_strerror(code)) : 0;
}

static int open_state(const char *path, struct folder *ret_folder, struct weir_error *err)
{
	int code = access(path, F_OK) ? -ENOENT : folder_open(path, FOLDER_LOOK, ret_folder, err);
	if (!code && ret_folder->readonly)
		return weir_error_set(err, -EACCES, "the state folder %s cannot be written", path);
	return code == -ENOENT ? check_parent(path, err) : code;
}

static void look_at_state(struct online *online, struct probe_past *past)
{
	struct folder folder = {.fd = -1, .lock_fd = -1};
	struct weir_error err = {0};
	struct buf text = {0};
	int code = open_state(online->state, &folder, &err);
	int exit_code = code == WEIR_EBUSY ? EX_UNAVAILABLE : EX_CONFIG;
	if (!code)
		code = exit_code = probe_broker(online->plan, folder.fd < 0 ? NULL : online->state, past, &text, &err);
	folder_close(&folder);
	past->is_unknown = code;
	if (code)
		say_wrong(online, "state", exit_code, err.text);
	else
		print("state", text.failed ? "out of memory" : text.data);
	buf_fini(&text);
}

static int run_on_loop(void *arg)
{
	struct online *online = arg;
	struct probe_past past = {0};
	struct step_env env;
	session_env(online->exe_path, &env);
	look_at_state(online, &past);
	int code = probe_parts(online->plan, &env, &past, tell, online);
	probe_past_fini(&past);
	return code;
}

int online_check(const struct plan *plan, const char *state)
{
	struct online online = {.plan = plan, .state = state, .exe_path = cmd_exe_path()};
	int code = descriptors_need(plan, plan->file);
	if (!code && weir_run(&(struct weir_options){.offload_threads = 16}, run_on_loop, &online)) {
		terminal_complain("weir check", "%s: %s", plan->file, weir_strerror(WEIR_ENOMEM));
		code = EX_UNAVAILABLE;
	}
	free(online.exe_path);
	return code ? code : online.exit_code;
}
