/* SPDX-License-Identifier: MIT */
/*
 * A session: what lies around the engine when a user runs a plan.
 *
 * The first SIGINT or SIGTERM stops the run, which drains; from then on the next one ends the process immediately, by
 * the kernel's hand, whatever the loop is doing.  Children see the end of their input and end, too.
 */
#include "cmd/session.h"

#include "cmd/cmd.h"
#include "cmd/descriptors.h"
#include "cmd/figures.h"
#include "cmd/notify.h"
#include "cmd/observe.h"
#include "cmd/paths.h"
#include "cmd/progress.h"
#include "cmd/requests.h"
#include "cmd/runs.h"
#include "cmd/visit.h"
#include "data/terminal.h"
#include "data/units.h"
#include "engine/life.h"
#include "files/jsonl_sink.h"
#include "port/adapters.h"
#include "spec/meaning.h"
#include "state/control.h"
#include "state/fleet_folder.h"
#include "state/folder.h"
#include "state/kept_file.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>
#include <weir/weir.h>

/* Threads look up hosts and read files; a list of URLs may name many hosts. */
enum { OFFLOAD_THREADS = 16 };

struct session {
	const struct plan *plan;
	const struct session_options *opts;
	struct folder folder;
	bool is_shared; /* others work on the run, too */
	struct engine *engine;
	struct report report;
	struct progress progress;
	struct weir_group *helpers;
	struct observe *observe; /* NULL: it is off */
	bool is_observed;        /* it was started */
	struct control *control;
	struct requests requests; /* of the control socket */
	struct sink_jsonl_config dead_letters;
	char *exe_path;
	int signal_fd;
	int exit_code;
};

static void say_error(const struct session *session, const struct weir_error *err)
{
	terminal_complain("weir", "%s: %s", session->plan->file, err->text);
}

/* Why a run did not end well, for those who asked for silence. */
static void say_end(const struct session *session)
{
	const struct engine_stats *now = &session->report.now;
	const struct engine_cause *cause = now->cause_count ? now->causes : NULL;
	const char *before = !cause ? "" : cause->letters == now->dead ? ": " : ", most of them: ";
	char a[32], b[32];
	if (now->reason)
		terminal_complain("weir", "%s: stopped: %s; %s unfinished", session->plan->file, now->reason,
				  units_number_text(now->unfinished, a));
	else if (session->exit_code == EXIT_DEAD_LETTERS)
		terminal_complain("weir", "%s: %s of %s items failed%s%s", session->plan->file,
				  units_number_text(now->dead, a), units_number_text(now->read, b), before,
				  cause ? cause->text : "");
}

/* --- signals --- */

/* The prompt does not stand behind the ^C that a terminal shows. */
static void exit_now(int number)
{
	if (isatty(STDERR_FILENO) && write(STDERR_FILENO, "\n", 1) < 0)
		_exit(128 + number);
	_exit(128 + number);
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
		notify_service("STOPPING=1");
		engine_stop(session->engine, interrupt ? "SIGINT" : "SIGTERM");
		report_look(&session->report);
		progress_note(&session->progress, "%s: finishing %s in flight (%s again to quit now)",
			      interrupt ? "interrupted" : "SIGTERM",
			      units_number_text(session->report.now.in_flight, (char[32]){0}),
			      interrupt ? "Ctrl-C" : "SIGTERM");
		let_signals_kill();
	}
	weir_io_close(io);
	return 0;
}

/* --- the run --- */

static int start_helpers(struct session *session, struct weir_error *err)
{
	static const struct weir_spawn_options signals = {.name = "signals"}, progress = {.name = "progress"},
					       observe = {.name = "observe"}, history = {.name = "history"};
	int code = weir_group_new(NULL, &session->helpers);
	if (!code)
		code = weir_group_spawn_with(session->helpers, &signals, watch_signals, session, WEIR_FOREVER);
	if (!code)
		code = weir_group_spawn_with(session->helpers, &progress, progress_run, &session->progress,
					     WEIR_FOREVER);
	if (!code && session->is_observed)
		code = weir_group_spawn_with(session->helpers, &observe, observe_run, session->observe, WEIR_FOREVER);
	if (!code && session->report.url && observe_keeps(session->observe))
		code = weir_group_spawn_with(session->helpers, &history, observe_remember, session->observe,
					     WEIR_FOREVER);
	if (code)
		return weir_error_set(err, code, "%s", weir_strerror(code));
	if (session->folder.fd < 0)
		return 0;
	return control_start(session->folder.fd, requests_answer, &session->requests, &session->control, err);
}

static void stop_observe(struct session *session)
{
	struct buf text = {0};
	if (!session->is_observed)
		return;
	observe_stop(session->observe);
	observe_say(session->observe, &text);
	if (text.len)
		progress_note(&session->progress, "%s", text.data);
	buf_fini(&text);
}

static void stop_helpers(struct session *session)
{
	control_stop(session->control);
	if (session->helpers) {
		weir_group_cancel(session->helpers);
		weir_group_wait(session->helpers, WEIR_FOREVER);
	}
	weir_group_free(session->helpers);
	stop_observe(session);
	session->report.url = NULL;
}

/* 0 or a negative code. */
static int write_text(const char *path, const struct buf *text)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	if (!file)
		return -errno;
	int code = text->failed ? WEIR_ENOMEM : terminal_put_exact(file, text->data, text->len);
	if (!code && fflush(file))
		code = -errno;
	if (file != stdout && fclose(file) && !code)
		code = -errno;
	return code;
}

/* For those who ask where the run stands when it is not alive; that there is none says that it was killed. */
static void keep_summary(const struct session *session, const struct buf *text)
{
	struct kept_file file = {0};
	if (session->folder.fd >= 0 && !kept_file_init(&file, session->folder.path, FOLDER_SUMMARY))
		kept_file_write(&file, text, false);
	kept_file_fini(&file);
}

/* A missing summary is a failure, whatever became of the run. */
static void write_summary(struct session *session)
{
	struct buf text = {0};
	const char *path = session->opts->summary;
	figures_summary(&session->report, session->exit_code, &text);
	keep_summary(session, &text);
	int code = path ? write_text(path, &text) : 0;
	if (code)
		terminal_complain("weir", "cannot write the summary %s: %s",
				  strcmp(path, "-") ? path : "to the standard output", weir_strerror(code));
	if (code && session->exit_code < EX__BASE)
		session->exit_code = EX_IOERR;
	buf_fini(&text);
}

static void tell_concurrency(struct session *session)
{
	struct engine_stats stats;
	engine_stats(session->engine, &stats);
	if (stats.most < (size_t)session->plan->settings.concurrency)
		progress_note(&session->progress,
			      "the limit of open files (ulimit -n) allows a concurrency of %zu instead of %lld",
			      stats.most, (long long)session->plan->settings.concurrency);
}

/* What someone who relies on it should know before it runs. */
static void tell_promise(struct session *session)
{
	struct engine_stats stats;
	const char *sink = session->plan->sink.adapter->name;
	char a[32];
	engine_stats(session->engine, &stats);
	if (!stats.durable || stats.past_done)
		return;
	if (stats.resumed)
		progress_note(&session->progress, "%s: %s items done, %s unfinished",
			      session->opts->roles == ENGINE_WORK ? "joining" : "resuming",
			      units_number_text(stats.settled_before, a),
			      units_number_text(stats.unfinished, (char[32]){0}));
	if (!stats.exact && session->opts->roles != ENGINE_SUBMIT)
		progress_note(&session->progress,
			      "the sink %s is at least once: after a crash it may get outputs twice", sink);
}

/* A run of which nothing is kept does its work, too.  What several processes work on has one history on each machine,
 * which outlives their folders. */
static void keep_history(struct session *session)
{
	struct weir_error err = {0};
	char *path = NULL;
	if (session->is_shared && session->opts->state)
		path = fleet_folder_file(session->opts->state, FOLDER_HISTORY);
	else if (session->folder.fd >= 0)
		path = folder_file(&session->folder, FOLDER_HISTORY);
	if (path && observe_keep(session->observe, path, session->opts->roles == ENGINE_SUBMIT, &err))
		progress_note(&session->progress, "no history: %s", err.text);
	free(path);
}

/* Of a run that has something to do.  It does its work unwatched, too. */
static void start_observe(struct session *session)
{
	struct weir_error err = {0};
	struct engine_stats stats;
	const char *listen = session->plan->settings.observe_listen;
	bool is_taken = false;
	engine_stats(session->engine, &stats);
	if (!session->observe || stats.past_done)
		return;
	keep_history(session);
	session->is_observed = true;
	int code = observe_start(session->observe, &is_taken, &err);
	session->report.url = observe_url(session->observe);
	if (code)
		progress_note(&session->progress, "no metrics: %s", err.text);
	else if (is_taken)
		progress_note(&session->progress, "%s is taken: metrics are at %s/metrics", listen,
			      session->report.url);
	else if (session->progress.form != PROGRESS_JSON) /* each of its lines has it */
		progress_note(&session->progress, "metrics: %s/metrics", session->report.url);
	if (observe_send(session->observe, &err))
		progress_note(&session->progress, "no traces: %s", err.text);
}

static const char *dead_letter_file(const struct session *session)
{
	const struct plan_adapter *dead_letter = &session->plan->dead_letter;
	if (session->opts->record)
		return NULL;
	if (!dead_letter->adapter)
		return session->plan->broker.adapter->broker->queue.bury ? NULL : session->dead_letters.path;
	return dead_letter->adapter == &sink_jsonl_adapter
		       ? ((const struct sink_jsonl_config *)dead_letter->config)->path
		       : NULL;
}

static int run_engine(struct session *session, struct weir_error *err)
{
	session->report.engine = session->engine;
	session->report.dead_letters = dead_letter_file(session);
	session->requests = (struct requests){.plan = session->plan,
					      .engine = session->engine,
					      .report = &session->report,
					      .progress = &session->progress,
					      .dead_letters = session->dead_letters.path};
	tell_concurrency(session);
	tell_promise(session);
	start_observe(session);
	int code = start_helpers(session, err);
	if (code)
		engine_stop(session->engine, "the run could not be started");
	else
		notify_service("READY=1");
	session->exit_code = engine_run(session->engine, err);
	if (code)
		session->exit_code = EX_UNAVAILABLE;
	stop_helpers(session);
	return code;
}

static void note(void *arg, const char *text)
{
	struct session *session = arg;
	progress_note(&session->progress, "%s", text);
}

static bool await_server(void *arg)
{
	const struct session *session = arg;
	notify_service("EXTEND_TIMEOUT_USEC=30000000");
	return !visit_was_told_to_end(session->signal_fd);
}

static enum engine_wish wish_of(const struct session_options *opts)
{
	if (opts->fresh)
		return *opts->fresh ? WISH_DISCARD : WISH_FRESH;
	return opts->adopt ? WISH_ADOPT : WISH_RESUME;
}

/* What is written to a pipe is often read by a program that writes to the same terminal. */
static bool shares_terminal(const struct plan *plan)
{
	struct stat st;
	return plan->sink.adapter == &sink_stdout_adapter && (fstat(STDOUT_FILENO, &st) || !S_ISREG(st.st_mode));
}

/* The variables of proxies have two names each; that in small letters goes first, as in curl. */
static const char *find_variable(const char *name, const char *other, const char *fallback)
{
	const char *value = getenv(name);
	if (!value)
		value = getenv(other);
	return value ? value : fallback;
}

void session_env(const char *exe_path, struct step_env *ret_env)
{
	const char *any_proxy = find_variable("all_proxy", "ALL_PROXY", NULL);
	*ret_env = (struct step_env){.exe_path = exe_path,
				     .ca_file = getenv("SSL_CERT_FILE"),
				     .http_proxy = find_variable("http_proxy", "HTTP_PROXY", any_proxy),
				     .https_proxy = find_variable("https_proxy", "HTTPS_PROXY", any_proxy),
				     .no_proxy = find_variable("no_proxy", "NO_PROXY", NULL)};
}

static void run_once(struct session *session)
{
	const struct session_options *opts = session->opts;
	session->report = (struct report){
		.name = session->report.name, .where = session->report.where, .sink = session->report.sink};
	struct weir_error err = {0};
	if (!session->plan->settings.observe_off && !opts->record &&
	    observe_new(&session->report, session->plan, &session->observe)) {
		terminal_complain("weir", "%s: out of memory", session->plan->file);
		session->exit_code = EX_UNAVAILABLE;
		return;
	}
	struct engine_options engine_opts = {
		.tracer = observe_tracer(session->observe),
		.most_concurrency = descriptors_concurrency(session->plan),
		.state = session->folder.path,
		.wish = wish_of(opts),
		.roles = opts->roles,
		.detach = opts->detach,
		.dead_to_sink = opts->record,
		.dead_adapter = &sink_jsonl_adapter,
		.dead_config = &session->dead_letters,
		.await_server = await_server,
		.note = note,
		.arg = session,
	};
	session_env(session->exe_path, &engine_opts.env);
	engine_opts.env.allow_private = opts->allow_private;
	engine_opts.env.requests = observe_requests(session->observe);
	engine_opts.env.url_list = opts->record;
	progress_init(&session->progress, &session->report, opts->quiet ? PROGRESS_NONE : opts->progress,
		      shares_terminal(session->plan));
	int code = engine_open(session->plan, &engine_opts, &session->engine, &session->exit_code, &err);
	if (code) {
		if (code == WEIR_ECANCELED)
			session->exit_code = EXIT_STOPPED;
		else
			say_error(session, &err);
		observe_free(session->observe);
		return;
	}
	if (session->folder.fd >= 0)
		unlinkat(session->folder.fd, FOLDER_SUMMARY, 0);
	run_engine(session, &err);
	progress_end(&session->progress, session->exit_code);
	if (err.code)
		say_error(session, &err);
	else if (session->progress.form == PROGRESS_NONE)
		say_end(session);
	write_summary(session);
	engine_free(session->engine);
	observe_free(session->observe);
}

static int run_on_loop(void *arg)
{
	struct session *session = arg;
	struct weir_error err = {0};
	int next;
	do {
		run_once(session);
		bool is_done = session->exit_code == EXIT_DONE || session->exit_code == EXIT_DEAD_LETTERS;
		if (!session->opts->stay || !is_done)
			return 0;
		progress_note(&session->progress, "waiting for the next run");
		next = visit_await_run(session->plan, session->signal_fd, note, session, &err);
	} while (next > 0);
	if (next < 0) {
		say_error(session, &err);
		session->exit_code = engine_exit_of(next);
	}
	return 0;
}

/* The run as an argument of other verbs: its name where that leads to its folder, from here, or the folder. */
static char *name_run(const struct session *session)
{
	const char *path = session->opts->state, *name = session->plan->settings.name;
	char *words, *usual = runs_folder(name);
	if (session->is_shared) {
		free(usual);
		return strdup(session->plan->file);
	}
	bool is_usual = usual && !strcmp(path, usual);
	int n = asprintf(&words, "%s%s", !is_usual && runs_have(path) ? "./" : "", is_usual ? name : path);
	free(usual);
	return n < 0 ? NULL : words;
}

static int open_folder(struct session *session, struct weir_error *err)
{
	const char *path = session->opts->state;
	if (!path)
		return 0;
	int code = session->is_shared ? fleet_folder_open(path, &session->folder, err)
				      : folder_open(path, FOLDER_RUN, &session->folder, err);
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
		.is_shared = visit_is_shared(plan),
	};
	int code = descriptors_need(plan, plan->file);
	if (code) {
		free(session.exe_path);
		return code;
	}
	code = open_folder(&session, &err);
	if (code) {
		say_error(&session, &err);
		free(session.dead_letters.path);
		free(session.report.where);
		free(session.exe_path);
		return code == WEIR_EBUSY ? EX_TEMPFAIL : EX_IOERR;
	}
	session.report.sink = spec_meaning_place(plan->meaning, "sink");
	session.signal_fd = cmd_signals_open();
	code = weir_run(&(struct weir_options){.offload_threads = OFFLOAD_THREADS}, run_on_loop, &session);
	if (code) {
		terminal_complain("weir", "%s: %s", plan->file, weir_strerror(code));
		session.exit_code = EX_UNAVAILABLE;
	}
	close(session.signal_fd);
	free(session.dead_letters.path);
	free(session.report.where);
	free(session.report.sink);
	if (session.is_shared)
		fleet_folder_close(&session.folder);
	else
		folder_close(&session.folder);
	free(session.exe_path);
	return session.exit_code;
}
