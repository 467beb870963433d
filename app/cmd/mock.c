/* SPDX-License-Identifier: MIT */
/*
 * weir mock: an upstream to try things on.  This file is the options, the signals and the two lines it prints; what it
 * does is in mock/.  SIGINT and SIGTERM are blocked and read from a signalfd, by the first fiber.
 *
 * To add an option: a row in `options` and its function; --help comes from the same table.
 */
#include "cmd/cmd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

#include "mock/server.h"

enum { EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69, EXIT_IO = 74 };

struct mock_command {
	struct mock_config config;
	const char *port_file;
	struct mock_server *server;
	int signal_fd;
};

static int set_listen(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_listen(&command->config, value, err);
}

static int set_port_file(struct mock_command *command, const char *value, struct weir_error *err)
{
	if (!value[0])
		return weir_error_set(err, WEIR_EINVAL, "expected the name of a file");
	command->port_file = value;
	return 0;
}

static int set_latency(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_latency(&command->config, value, err);
}

static int set_errors(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_errors(&command->config, value, err);
}

static int set_fault(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_fault(&command->config, value, err);
}

static int set_limit(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_capacity_limit(&command->config.capacity, value, err);
}

static int set_limit_headers(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_limit_headers(&command->config, value, err);
}

static int set_max_in_flight(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_capacity_at_once(&command->config.capacity, value, err);
}

static int set_outage(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_capacity_outage(&command->config.capacity, value, err);
}

static int set_retry_after(struct mock_command *command, const char *value, struct weir_error *err)
{
	return mock_config_retry_after(&command->config, value, err);
}

static int read_number(const char *value, uint64_t low, uint64_t high, uint64_t *ret_number, struct weir_error *err)
{
	uint64_t number;
	if (!mock_text_number(value, strlen(value), high, &number) || number < low)
		return weir_error_set(err, WEIR_EINVAL,
				      "'%.100s' is not understood; expected a number from %" PRIu64 " to %" PRIu64,
				      value, low, high);
	*ret_number = number;
	return 0;
}

static int set_error_status(struct mock_command *command, const char *value, struct weir_error *err)
{
	uint64_t status = 0;
	int result = read_number(value, 400, 599, &status, err);
	if (!result)
		command->config.error_status = (unsigned)status;
	return result;
}

static int set_max_connections(struct mock_command *command, const char *value, struct weir_error *err)
{
	uint64_t most = 0;
	int result = read_number(value, 1, 1000000, &most, err);
	if (!result)
		command->config.max_connections = (size_t)most;
	return result;
}

static int set_workers(struct mock_command *command, const char *value, struct weir_error *err)
{
	uint64_t workers = 0;
	int result = read_number(value, 1, MOCK_WORKERS, &workers, err);
	if (!result)
		command->config.capacity.workers = (size_t)workers;
	return result;
}

static int set_seed(struct mock_command *command, const char *value, struct weir_error *err)
{
	return read_number(value, 0, INT64_MAX, &command->config.seed, err);
}

static const struct mock_option {
	const char *name, *value;
	int (*set)(struct mock_command *command, const char *value, struct weir_error *err);
	const char *text;
} options[] = {
	{"--listen", "ADDRESS:PORT", set_listen, "where to listen; port 0: a free one (default 127.0.0.1:8080)"},
	{"--port-file", "FILE", set_port_file, "write the port into FILE when ready"},
	{"--latency", "[PREFIX=]TIME", set_latency,
	 "how long answers take: 200ms, 10ms..300ms, 90%:10ms..50ms,10%:1s..3s,\n"
	 "        or @FILE of observed times"},
	{"--errors", "[PREFIX=]PERCENT", set_errors, "answer so many requests with an error"},
	{"--error-status", "STATUS", set_error_status, "the status of those errors (default 500)"},
	{"--limit", "RATE[,burst=N|,window][@TIME]", set_limit,
	 "answer 429 above 1000/s, 600/m, 5000/h (default burst: a tenth of a\n"
	 "        second's share); with ,window: above so many in each second, minute,\n"
	 "        hour; again with @TIME: from then on, such as\n"
	 "        --limit 1000/s --limit 300/s@20s --limit none@40s"},
	{"--limit-headers", "ratelimit|ratelimit-old|x-ratelimit", set_limit_headers,
	 "tell the limit in each answer: RateLimit and RateLimit-Policy;\n"
	 "        RateLimit-Limit, -Remaining and -Reset; X-RateLimit-Limit, -Remaining\n"
	 "        and -Reset (a Unix time)"},
	{"--retry-after", "SECONDS|date|none", set_retry_after,
	 "what a refusal says (default: seconds until there is room, rounded up,\n"
	 "        where that is known)"},
	{"--max-in-flight", "N[:STATUS]", set_max_in_flight,
	 "answer 429 (or STATUS) at once while N requests are under way"},
	{"--workers", "N", set_workers,
	 "work on N requests at once, each for its latency; the others wait in\n"
	 "        line"},
	{"--outage", "FROM..TO[:STATUS]", set_outage,
	 "answer nothing but 503 (or STATUS) in that time, such as 10s..70s; may\n"
	 "        be repeated"},
	{"--max-connections", "N", set_max_connections, "answer 503 on connections beyond N, and close"},
	{"--fault", "PREFIX=FAULT[:PERCENT]", set_fault, "let requests below PREFIX meet a fault, see below"},
	{"--seed", "N", set_seed, "of the dice (default 0): same seed, same order of requests, same answers"},
};

enum { OPTIONS = sizeof options / sizeof options[0] };

static const char paths[] = "Paths:\n"
			    "  /orders/ID        JSON of about 300 bytes, the same for the same ID;\n"
			    "                    total = sum of qty * price\n"
			    "  /html/ID          HTML of about 2 KiB\n"
			    "  /text, /empty     plain text; 204 without a body\n"
			    "  /json/BYTES       JSON of exactly that size\n"
			    "  /echo             method, path, headers and body of the request as JSON\n"
			    "  /status/CODE[/retry-after/TEXT]\n"
			    "                    that status; TEXT date:N is the date N seconds from now\n"
			    "  /fault/[once/]FAULT[/ARGUMENT][/KEY]\n"
			    "                    a fault; with once/ only the first time for each KEY\n"
			    "  /stats            counters as JSON; not counted, limited or delayed;\n"
			    "                    most_in_window: the most requests that came in any window\n"
			    "                    of a second\n"
			    "  /stats/seconds    requests, and those refused, in each second since the first\n"
			    "\nFaults:\n";

static void print_help(void)
{
	puts("usage: weir mock [OPTION ...]\n\nAn upstream to try things on.  Runs until SIGINT or "
	     "SIGTERM.\n\nOptions:");
	for (size_t i = 0; i < OPTIONS; i++)
		printf("  %s %s\n        %s\n", options[i].name, options[i].value, options[i].text);
	printf("  --help\n        print this\n\n@TIME, FROM and TO count from the first request on.\n\nA PREFIX holds "
	       "for whole parts of a path: /orders/7 also for "
	       "/orders/7/x, not\nfor /orders/70.  Of several the longest wins.\n\n%s",
	       paths);
#define NONE (-1LL)
#define X(id, name, argument, text)                                                                                    \
	if ((argument) < 0)                                                                                            \
		printf("  %-17s %s\n", name, text);                                                                    \
	else                                                                                                           \
		printf("  %-17s %s (default %lld)\n", name "/N", text, (long long)(argument));
	MOCK_FAULTS(X)
#undef X
#undef NONE
}

static int fail(int code, const struct weir_error *err)
{
	fprintf(stderr, "weir mock: %s\n", err->text);
	return code;
}

/* Finds the option that the word is or, before a '=', begins with. */
static const struct mock_option *find_option(const char *word, const char **ret_value)
{
	size_t n = strcspn(word, "=");
	*ret_value = word[n] ? word + n + 1 : NULL;
	for (size_t i = 0; i < OPTIONS; i++)
		if (strlen(options[i].name) == n && !memcmp(options[i].name, word, n))
			return &options[i];
	return NULL;
}

static int read_options(struct mock_command *command, int argc, char **argv, struct weir_error *err)
{
	for (int i = 1; i < argc; i++) {
		struct weir_error inner = {0};
		const char *value;
		const struct mock_option *option = find_option(argv[i], &value);
		if (!option)
			return weir_error_set(err, WEIR_EINVAL, "unknown %s '%.100s'; see weir mock --help",
					      argv[i][0] == '-' ? "option" : "argument", argv[i]);
		if (!value && i + 1 == argc)
			return weir_error_set(err, WEIR_EINVAL, "%s needs a value: %s", option->name, option->value);
		if (!value)
			value = argv[++i];
		if (option->set(command, value, &inner) < 0)
			return weir_error_set(err, inner.code, "%s: %s", option->name, inner.text);
	}
	return 0;
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Whoever waits for the file finds it whole or not at all. */
static int write_port_file(const char *path, unsigned port, struct weir_error *err)
{
	char text[16], *temporary = NULL;
	int fd = -1, error = ENOMEM, n = snprintf(text, sizeof text, "%u\n", port);
	if (asprintf(&temporary, "%s.%ld", path, (long)getpid()) < 0)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	bool good = fd >= 0 && write(fd, text, (size_t)n) == n;
	error = errno;
	if (fd >= 0)
		close(fd);
	if (good) {
		good = rename(temporary, path) == 0;
		error = errno;
	}
	if (!good && fd >= 0)
		unlink(temporary);
	free(temporary);
	return good ? 0 : weir_error_set(err, -error, "%s: %s", path, strerror(error));
}

static int announce(const struct mock_command *command, struct weir_error *err)
{
	struct sockaddr_in at;
	char address[INET_ADDRSTRLEN];
	mock_server_address(command->server, &at);
	inet_ntop(AF_INET, &at.sin_addr, address, sizeof address);
	if (ntohl(at.sin_addr.s_addr) >> 24 != 127)
		fprintf(stderr, "weir mock: %s is open to the network\n", address);
	if (command->port_file) {
		int result = write_port_file(command->port_file, ntohs(at.sin_port), err);
		if (result < 0)
			return result;
	}
	printf("weir mock listening on http://%s:%u\n", address, (unsigned)ntohs(at.sin_port));
	if (fflush(stdout) != 0)
		return weir_error_set(err, WEIR_EIO, "the standard output cannot be written");
	return 0;
}

static void summarize(const struct mock_stats *stats)
{
	uint64_t faults = 0;
	for (int i = 0; i < MOCK_FAULT_KINDS; i++)
		faults += stats->by_fault[i];
	fprintf(stderr, "weir mock: %" PRIu64 " requests", stats->requests);
	for (int i = 0; i < 600; i++)
		if (stats->by_status[i])
			fprintf(stderr, ", %d: %" PRIu64, i, stats->by_status[i]);
	fprintf(stderr, ", faults: %" PRIu64 ", connections: %" PRIu64 ", at once: %zu, refused: %" PRIu64 "\n", faults,
		stats->accepted, stats->max_connections, stats->refused);
}

/* A fiber that ends when a signal comes, as a failure: that is what ends the group. */
static int wait_for_signal(void *arg)
{
	struct mock_command *command = arg;
	struct signalfd_siginfo info;
	struct weir_io *io;
	int result = weir_io_open(command->signal_fd, &io);
	if (result < 0)
		return result;
	ssize_t got = weir_io_read(io, &info, sizeof info, WEIR_FOREVER);
	weir_io_close(io);
	return got < 0 ? (int)got : WEIR_ECLOSED;
}

/* The first fiber.  Server and signal are siblings: the end of one cancels the other. */
static int serve(void *arg)
{
	struct mock_command *command = arg;
	struct weir_group *group;
	int result = weir_group_new(NULL, &group);
	if (result < 0)
		return result;
	result = weir_group_spawn(group, mock_server_run, command->server, WEIR_FOREVER);
	if (!result)
		result = weir_group_spawn(group, wait_for_signal, command, WEIR_FOREVER);
	if (result < 0)
		weir_group_cancel(group);
	int ended = weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	if (!result)
		result = ended;
	return result == WEIR_ECLOSED ? 0 : result;
}

static int block_signals(struct mock_command *command, struct weir_error *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
		return weir_error_set(err, WEIR_EINVAL, "signals cannot be blocked");
	command->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (command->signal_fd < 0)
		return weir_error_set(err, -errno, "signalfd: %s", strerror(errno));
	return 0;
}

static int run(struct mock_command *command, struct weir_error *err)
{
	raise_descriptor_limit();
	if (mock_server_new(&command->config, &command->server, err) < 0)
		return EXIT_UNAVAILABLE;
	if (block_signals(command, err) < 0 || announce(command, err) < 0)
		return EXIT_IO;
	int result = weir_run(NULL, serve, command);
	summarize(mock_server_stats(command->server));
	if (result < 0)
		weir_error_set(err, result, "%s", weir_strerror(result));
	return result < 0 ? EXIT_IO : 0;
}

int cmd_mock(int argc, char **argv)
{
	static struct mock_command command = {.signal_fd = -1}; /* too large for a frame */
	struct weir_error err = {0};
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			print_help();
			return 0;
		}
	mock_config_init(&command.config);
	int code = read_options(&command, argc, argv, &err) < 0 ? EXIT_USAGE : run(&command, &err);
	mock_server_free(command.server);
	mock_config_fini(&command.config);
	if (command.signal_fd >= 0)
		close(command.signal_fd);
	return code ? fail(code, &err) : 0;
}
