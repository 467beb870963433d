/* SPDX-License-Identifier: MIT */
/*
 * Who is alive answers.  Of all others the store has the accounts, and what is left to do; how the last process ended
 * is in its summary, which a run removes when it starts and writes when it ends.  Both are only read.
 */
#include "cmd/standing.h"

#include "cmd/ask.h"
#include "sqlite/store/store.h"
#include "state/folder.h"
#include "state/kept_file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static void set_state(struct standing *self, const char *state)
{
	snprintf(self->state, sizeof self->state, "%s", state);
}

static void set_note(struct standing *self, const char *state, const struct weir_error *err)
{
	set_state(self, state);
	snprintf(self->note, sizeof self->note, "%s", err->text);
}

/* --- figures: of a running pipeline, or of a summary --- */

static bool is_true(const struct json *object, const char *name)
{
	const struct json *flag = object ? json_member(object, name) : NULL;
	return flag && json_type(flag) == JSON_BOOL && json_bool(flag);
}

static void take_figures(struct standing *self, const struct json *json)
{
	set_state(self, json_member_text(json, "state"));
	if (is_true(json_member(json, "flow"), "paused") && !strcmp(self->state, "running"))
		set_state(self, "paused");
	snprintf(self->name, sizeof self->name, "%s", json_member_text(json, "name"));
	snprintf(self->reason, sizeof self->reason, "%s", json_member_text(json, "reason"));
	self->total = json_member(json, "total") ? json_member_int(json, "total") : -1;
	self->is_estimate = self->total >= 0 && !is_true(json, "total_exact");
	self->letters = (uint64_t)json_member_int(json, "letters");
	self->accounts = (struct broker_accounts){.read = (uint64_t)json_member_int(json, "read"),
						  .succeeded = (uint64_t)json_member_int(json, "succeeded"),
						  .dropped = (uint64_t)json_member_int(json, "dropped"),
						  .dead = (uint64_t)json_member_int(json, "dead")};
}

/* What cannot be read is as if it were not there. */
static void take_summary(struct standing *self, const char *folder)
{
	struct kept_file file = {0};
	struct json *json = NULL;
	struct stat st;
	bool absent;
	if (!kept_file_init(&file, folder, FOLDER_SUMMARY) && (json = kept_file_read(&file, &absent)) &&
	    !stat(file.path, &st)) {
		take_figures(self, json);
		self->ended = st.st_mtime;
	}
	json_free(json);
	kept_file_fini(&file);
}

/* --- a run that is not alive --- */

/* Behind the end of the last process dead letters may have become items again. */
static const char *state_of(const struct broker_past *past, const char *ended)
{
	if (!past->begun)
		return "new";
	if (past->done)
		return "done";
	if (*ended && strcmp(ended, "done") != 0)
		return ended;
	return *ended || past->clean ? "stopped" : "killed";
}

static void take_past(struct standing *self, const struct broker_past *past)
{
	char ended[sizeof self->state];
	snprintf(ended, sizeof ended, "%s", self->state);
	set_state(self, state_of(past, ended));
	self->accounts = past->accounts;
	self->letters = past->letters;
	if (past->sealed || self->total < (int64_t)past->accounts.read) {
		self->total = past->sealed ? (int64_t)past->accounts.read : -1;
		self->is_estimate = false;
	}
	if (past->done)
		self->reason[0] = 0;
}

/* The pipeline lies beside .weir/, unless the state is elsewhere. */
static void advise(struct standing *self, const char *folder, const struct broker_past *past)
{
	const char *file = past->file.len ? past->file.data : "", *base = base_of(folder);
	size_t n = (size_t)(base - folder), hidden = strlen(".weir/");
	bool beside = n >= hidden && !strncmp(base - hidden, ".weir/", hidden);
	if (past->done && self->letters) {
		snprintf(self->next, sizeof self->next, "weir dead %s", self->who);
		self->does = "shows why";
	}
	if (!past->begun || past->done)
		return;
	self->does = "resumes it";
	if (!*file || !strcmp(file, "get"))
		snprintf(self->next, sizeof self->next, "the same weir %s", *file ? file : "run");
	else if (beside)
		snprintf(self->next, sizeof self->next, "weir run %.*s%s", (int)(n - hidden), folder, file);
	else
		snprintf(self->next, sizeof self->next, "weir run %s --state %s", file, folder);
}

static int look(struct standing *self, const char *folder, struct weir_error *err)
{
	struct broker_past past = {0};
	struct folder held = {.fd = -1, .lock_fd = -1};
	int code = folder_open(folder, FOLDER_LOOK, &held, err);
	if (code == -ENOENT)
		return code;
	if (code) {
		set_note(self, code == WEIR_EBUSY ? "busy" : "unreadable", err);
		return 0;
	}
	take_summary(self, folder);
	code = store_glance(folder, &past, err);
	if (!code) {
		take_past(self, &past);
		advise(self, folder, &past);
	} else if (code != -ENOENT) {
		set_note(self, "unreadable", err);
	} else if (!self->state[0]) {
		set_state(self, "new");
	}
	broker_past_fini(&past);
	folder_close(&held);
	return 0;
}

/* --- a run that several processes work on --- */

static int is_pid(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]);
}

static bool ask_process(struct standing *self, const char *folder, const char *name)
{
	struct json *json = NULL;
	char *path;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return false;
	bool answers = !cmd_ask(path, "status", &self->answer, &json, NULL);
	if (answers) {
		take_figures(self, json);
		/* The pipeline lies beside .weir/, wherever the process was started. */
		snprintf(self->next, sizeof self->next, "weir status %s", base_of(json_member_text(json, "where")));
		self->does = "shows each process";
	}
	buf_clear(&self->answer); /* it is about that process */
	json_free(json);
	free(path);
	return answers;
}

/* Each process has its folder in this one (state/fleet_folder.h).  Any of them can answer, since each knows the
 * accounts of the whole run. */
static bool ask_processes(struct standing *self, const char *folder)
{
	struct dirent **all;
	int n = scandir(folder, &all, is_pid, alphasort);
	bool answered = false;
	for (int i = 0; i < n; i++) {
		answered = answered || ask_process(self, folder, all[i]->d_name);
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	return answered;
}

/* --- either --- */

static void advise_live(struct standing *self)
{
	bool paused = !strcmp(self->state, "paused");
	snprintf(self->next, sizeof self->next, "weir %s %s", paused ? "resume" : "status", self->who);
}

int standing_read(const char *folder, struct standing *ret_standing, struct weir_error *err)
{
	struct standing self = {.total = -1};
	struct json *json = NULL;
	self.who = strdup(strncmp(folder, ".weir/", 6) ? folder : folder + 6);
	if (!self.who)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = cmd_ask(folder, "status", &self.answer, &json, err);
	if (!code) {
		take_figures(&self, json);
		advise_live(&self);
	} else if (cmd_ask_has_ended(code)) {
		buf_clear(&self.answer);
		code = look(&self, folder, err);
		code = code == -ENOENT && ask_processes(&self, folder) ? 0 : code;
	} else {
		set_note(&self,
			 code == WEIR_EBUSY       ? "suspended"
			 : code == WEIR_ETIMEDOUT ? "silent"
						  : "unreadable",
			 err);
		code = 0;
	}
	json_free(json);
	if (self.note[0])
		advise_live(&self);
	if (!self.name[0])
		snprintf(self.name, sizeof self.name, "%s", base_of(self.who));
	if (code)
		standing_fini(&self);
	else
		*ret_standing = self;
	return code;
}

void standing_fini(struct standing *standing)
{
	buf_fini(&standing->answer);
	free(standing->who);
}
