/* SPDX-License-Identifier: MIT */
/*
 * A session: what lies around the engine when a user runs a plan.
 *
 * The first SIGINT or SIGTERM stops the run, which drains; from then on the next one ends the process at once, by the
 * kernel's hand, whatever the loop is doing.  Children see the end of their input and end, too.
 */
#include "cmd/session.h"

#include "admin/control.h"
#include "cmd/changes.h"
#include "cmd/letters.h"
#include "cmd/paths.h"
#include "cmd/progress.h"
#include "engine/engine.h"
#include "port/adapters.h"
#include "sink/jsonl.h"
#include "store/folder.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>
#include <weir/weir.h>

/* Threads look up hosts and read files; a list of URLs may name many hosts. */
enum { FDS_RESERVED = 40, OFFLOAD_THREADS = 16 };

struct session {
	const struct plan *plan;
	const struct session_options *opts;
	struct folder folder;
	struct engine *engine;
	struct report report;
	struct progress progress;
	struct weir_group *helpers;
	struct control *control;
	struct sink_jsonl_config dead_letters;
	char *exe_path;
	int signal_fd;
	int exit_code;
};

static void say_error(const struct session *session, const struct weir_error *err)
{
	fprintf(stderr, "weir: %s: %s\n", session->plan->file, err->text);
}

/* --- signals --- */

static void exit_now(int number)
{
	_exit(128 + number);
}

static int block_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static void let_signals_kill(void)
{
	struct sigaction action = {.sa_handler = exit_now};
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int watch_signals(void *arg)
{
	struct session *session = arg;
	struct signalfd_siginfo info;
	struct weir_io *io;
	if (weir_io_open(session->signal_fd, &io))
		return 0;
	if (weir_io_read(io, &info, sizeof info, WEIR_FOREVER) == sizeof info) {
		bool interrupt = info.ssi_signo == SIGINT;
		engine_stop(session->engine, interrupt ? "SIGINT" : "SIGTERM");
		if (!session->opts->quiet)
			progress_note(&session->progress, "%s: finishing what is in flight; once more ends now",
				      interrupt ? "SIGINT" : "SIGTERM");
		let_signals_kill();
	}
	weir_io_close(io);
	return 0;
}

/* --- descriptors --- */

/* Raises the soft limit to the hard one; how many items at once the descriptors allow, 0: as many as wanted. */
static size_t most_concurrency(const struct plan *plan)
{
	struct rlimit limit;
	unsigned each = 0;
	for (size_t i = 0; i < plan->step_count; i++)
		each += plan->steps[i].adapter->step->descriptors;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (!each || limit.rlim_max == RLIM_INFINITY)
		return 0;
	return limit.rlim_max > FDS_RESERVED + each ? (size_t)(limit.rlim_max - FDS_RESERVED) / each : 1;
}

/* --- the run --- */

static int answer_letters(struct session *session, const char *words, struct buf *out, struct weir_error *err,
			  weir_nsec deadline)
{
	struct letters_request request;
	struct engine *engine = session->engine;
	uint64_t n = 0;
	int code = letters_parse(words, &request, err);
	if (code)
		return code;
	if (request.verb == LETTERS_LIST)
		code = engine_letters(engine, &request.query, out, &n, err, deadline);
	else if (request.verb == LETTERS_REPLAY)
		code = engine_replay(engine, &request.query, &n, err, deadline);
	else
		code = engine_purge(engine, &request.query, &n, err, deadline);
	if (!code)
		buf_addf(out, "{\"n\":%llu}", (unsigned long long)n);
	letters_request_fini(&request);
	return code;
}

static int answer_change(struct session *session, const char *words, struct buf *out, struct weir_error *err)
{
	struct engine_changes changes;
	int code = changes_parse(words, &changes, err);
	if (!code)
		code = engine_change(session->engine, &changes, err);
	if (code)
		return code;
	if (!session->opts->quiet)
		progress_note(&session->progress, "weir set: %s", words);
	report_look(&session->report);
	report_json(&session->report, "set", out);
	return 0;
}

/* A request is a word, and what it is about. */
static void answer_request(void *arg, const char *request, struct buf *out, weir_nsec deadline)
{
	struct session *session = arg;
	struct weir_error err = {0};
	if (!strcmp(request, "status")) {
		report_look(&session->report);
		report_json(&session->report, "status", out);
		return;
	}
	int code = WEIR_EINVAL;
	if (!strncmp(request, "letters ", 8))
		code = answer_letters(session, request + 8, out, &err, deadline);
	else if (!strncmp(request, "set ", 4))
		code = answer_change(session, request + 4, out, &err);
	else
		weir_error_set(&err, WEIR_EINVAL, "unknown request");
	if (!code)
		return;
	buf_clear(out);
	buf_add_str(out, "{\"error\":");
	buf_add_json_str(out, err.text, strlen(err.text));
	buf_add_char(out, '}');
}

static int start_helpers(struct session *session, struct weir_error *err)
{
	static const struct weir_spawn_options signals = {.name = "signals"}, progress = {.name = "progress"};
	int code = weir_group_new(NULL, &session->helpers);
	if (!code)
		code = weir_group_spawn_with(session->helpers, &signals, watch_signals, session, WEIR_FOREVER);
	if (!code && !session->opts->quiet)
		code = weir_group_spawn_with(session->helpers, &progress, progress_run, &session->progress,
					     WEIR_FOREVER);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (session->folder.fd < 0)
		return 0;
	return control_start(session->folder.fd, answer_request, session, &session->control, err);
}

static void stop_helpers(struct session *session)
{
	control_stop(session->control);
	if (session->helpers) {
		weir_group_cancel(session->helpers);
		weir_group_wait(session->helpers, WEIR_FOREVER);
	}
	weir_group_free(session->helpers);
}

static void write_summary(struct session *session)
{
	struct buf text = {0};
	const char *path = session->opts->summary;
	report_summary(&session->report, session->exit_code, &text);
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	bool written = file && !text.failed && fwrite(text.data, 1, text.len, file) == text.len && !fflush(file);
	if (!written) {
		fprintf(stderr, "weir: cannot write the summary %s: %s\n", path, strerror(errno));
		if (session->exit_code == 0)
			session->exit_code = EX_IOERR;
	}
	if (file && file != stdout)
		fclose(file);
	buf_fini(&text);
}

static void tell_concurrency(struct session *session)
{
	struct engine_stats stats;
	engine_stats(session->engine, &stats);
	if (stats.most < (size_t)session->plan->settings.concurrency && !session->opts->quiet)
		progress_note(&session->progress,
			      "the limit of open descriptors (ulimit -n) allows %zu at once instead of %lld",
			      stats.most, (long long)session->plan->settings.concurrency);
}

/* What someone who relies on it should know before it runs. */
static void tell_promise(struct session *session)
{
	struct engine_stats stats;
	const char *sink = session->plan->sink.adapter->name;
	char a[32];
	engine_stats(session->engine, &stats);
	if (!stats.durable || session->opts->quiet || stats.was_done)
		return;
	if (stats.resumed)
		progress_note(&session->progress, "goes on where it was: %s items are settled, %s are not",
			      report_number(stats.settled_before, a), report_number(stats.unfinished, (char[32]){0}));
	if (!stats.exact)
		progress_note(&session->progress, "%s is at least once: a kill may make outputs come twice", sink);
}

static const char *dead_letter_file(const struct session *session)
{
	const struct plan_adapter *dead_letter = &session->plan->dead_letter;
	if (session->opts->record)
		return NULL;
	if (!dead_letter->adapter)
		return session->plan->broker.adapter->broker->bury ? NULL : session->dead_letters.path;
	return dead_letter->adapter == &sink_jsonl_adapter
		       ? ((const struct sink_jsonl_config *)dead_letter->config)->path
		       : NULL;
}

static int run_engine(struct session *session, struct weir_error *err)
{
	session->report.engine = session->engine;
	session->report.dead_letters = dead_letter_file(session);
	tell_concurrency(session);
	tell_promise(session);
	int code = start_helpers(session, err);
	if (code)
		engine_stop(session->engine, "it could not be started");
	session->exit_code = engine_run(session->engine, err);
	if (code)
		session->exit_code = EX_UNAVAILABLE;
	stop_helpers(session);
	return code;
}

static void note(void *arg, const char *text)
{
	struct session *session = arg;
	if (!session->opts->quiet)
		progress_note(&session->progress, "%s", text);
}

static int run_on_loop(void *arg)
{
	struct session *session = arg;
	const struct session_options *opts = session->opts;
	struct weir_error err = {0};
	struct engine_options engine_opts = {
		.env = {.exe_path = session->exe_path, .allow_private = opts->allow_private, .record = opts->record},
		.most_concurrency = most_concurrency(session->plan),
		.state = opts->state,
		.wish = opts->wish,
		.dead_to_sink = opts->record,
		.dead_adapter = &sink_jsonl_adapter,
		.dead_config = &session->dead_letters,
		.note = note,
		.arg = session,
	};
	progress_init(&session->progress, &session->report);
	if (engine_open(session->plan, &engine_opts, &session->engine, &session->exit_code, &err)) {
		say_error(session, &err);
		return 0;
	}
	run_engine(session, &err);
	if (opts->quiet)
		report_look(&session->report);
	else
		progress_end(&session->progress);
	if (err.code)
		say_error(session, &err);
	if (opts->summary)
		write_summary(session);
	engine_free(session->engine);
	return 0;
}

/* How other verbs are told of this run: by its name where that leads to its folder, from here. */
static char *name_run(const struct session *session)
{
	const char *path = session->opts->state, *name = session->plan->settings.name;
	char *words, *usual = cmd_state_folder(NULL, name);
	bool is_usual = usual && !strcmp(!strncmp(path, "./", 2) ? path + 2 : path, usual);
	int n = is_usual ? asprintf(&words, "%s", name) : asprintf(&words, "--state %s", path);
	free(usual);
	return n < 0 ? NULL : words;
}

static int open_folder(struct session *session, struct weir_error *err)
{
	const char *path = session->opts->state;
	if (!path)
		return 0;
	int code = folder_open(path, &session->folder, err);
	if (code)
		return code;
	session->dead_letters.path = folder_file(&session->folder, "dead.jsonl");
	session->report.where = name_run(session);
	return session->dead_letters.path && session->report.where ? 0
								   : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

int session_run(const struct plan *plan, const struct session_options *opts)
{
	struct weir_error err = {0};
	struct session session = {
		.plan = plan,
		.opts = opts,
		.folder = {.fd = -1, .lock_fd = -1},
		.report = {.name = plan->settings.name},
		.exe_path = cmd_exe_path(),
	};
	int code = open_folder(&session, &err);
	if (code) {
		say_error(&session, &err);
		free(session.exe_path);
		return code == WEIR_EBUSY ? EX_TEMPFAIL : EX_IOERR;
	}
	session.signal_fd = block_signals();
	code = weir_run(&(struct weir_options){.offload_threads = OFFLOAD_THREADS}, run_on_loop, &session);
	if (code) {
		fprintf(stderr, "weir: %s: %s\n", plan->file, weir_strerror(code));
		session.exit_code = EX_UNAVAILABLE;
	}
	close(session.signal_fd);
	free(session.dead_letters.path);
	free(session.report.where);
	folder_close(&session.folder);
	free(session.exe_path);
	return session.exit_code;
}
