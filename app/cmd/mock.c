/* SPDX-License-Identifier: MIT */
/*
 * weir mock: an upstream to try things on.  This file is the options, the signals and the two lines it prints; what it
 * does is in mock/.  SIGINT and SIGTERM are blocked and read from a signalfd, by the first fiber.
 *
 * To add an option: a row in `options`.
 */
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "data/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

#include "mock/server.h"

struct mock_command {
	struct mock_config config;
	const char *port_file;
	struct mock_server *server;
	int signal_fd;
};

/* Those that the mock reads itself. */
#define SETTER(name, read, of)                                                                                         \
	static int name(void *command, const char *value, struct weir_error *err)                                      \
	{                                                                                                              \
		return read(&((struct mock_command *)command)->config of, value, err);                                 \
	}
SETTER(set_listen, mock_config_listen, )
SETTER(set_latency, mock_config_latency, )
SETTER(set_errors, mock_config_errors, )
SETTER(set_fault, mock_config_fault, )
SETTER(set_limit_headers, mock_config_limit_headers, )
SETTER(set_retry_after, mock_config_retry_after, )
SETTER(set_limit, mock_capacity_limit, .capacity)
SETTER(set_max_in_flight, mock_capacity_in_flight, .capacity)
SETTER(set_outage, mock_capacity_outage, .capacity)
#undef SETTER

#define AT(field) offsetof(struct mock_command, field)

static const struct cmd_option options[] = {
	{"listen", "ADDRESS:PORT", "address and port; port 0: a free one (default 127.0.0.1:8080)", .set = set_listen},
	{"port-file", "FILE", "write the port into FILE when ready", AT(port_file)},
	{"latency", "[PREFIX=]TIME",
	 "latency of answers: 200ms, 10ms..300ms, 90%:10ms..50ms,10%:1s..3s, or @FILE of observed times",
	 .set = set_latency},
	{"errors", "[PREFIX=]PERCENT", "share of requests answered with an error", .set = set_errors},
	{"error-status", "STATUS", "status of those errors (default 500)", AT(config.error_status), .least = 400,
	 .most = 599},
	{"limit", "RATE[,burst=N|,window][@TIME]",
	 "answer 429 above 1000/s, 600/m, 5000/h (default burst: a tenth of a second's share); with ,window: above "
	 "this "
	 "many in each second, minute, hour; with @TIME, repeated: from then on, such as --limit 1000/s "
	 "--limit 300/s@20s --limit none@40s",
	 .set = set_limit},
	{"limit-headers", "ratelimit|ratelimit-old|x-ratelimit",
	 "headers that state the limit in each answer: RateLimit and RateLimit-Policy; RateLimit-Limit, -Remaining and "
	 "-Reset; "
	 "X-RateLimit-Limit, -Remaining and -Reset (a Unix time)",
	 .set = set_limit_headers},
	{"retry-after", "SECONDS|date|none",
	 "Retry-After of a refusal (default: seconds until there is room, rounded up, where known)",
	 .set = set_retry_after},
	{"max-in-flight", "N[:STATUS]", "answer 429 (or STATUS) immediately while N requests are in flight",
	 .set = set_max_in_flight},
	{"workers", "N", "number of requests processed at a time, each for its latency; the others queue",
	 AT(config.capacity.workers), .least = 1, .most = MOCK_WORKERS},
	{"outage", "FROM..TO[:STATUS]", "answer only 503 (or STATUS) in that time, such as 10s..70s; may be repeated",
	 .set = set_outage},
	{"max-connections", "N", "answer 503 on connections beyond N, and close", AT(config.max_connections),
	 .least = 1, .most = 1000000},
	{"fault", "PREFIX=FAULT[:PERCENT]", "inject a fault into requests below PREFIX; see below", .set = set_fault},
	{"log", "FILE", "add each request to FILE, a line of the JSON that /echo answers", AT(config.log)},
	{"seed", "N", "seed of random choices (default 0): the same seed and order of requests give the same answers",
	 AT(config.seed), .most = INT64_MAX},
	{0},
};

static const char paths[] = "@TIME, FROM and TO count from the first request on.\n\n"
			    "A PREFIX matches whole parts of a path: /orders/7 matches /orders/7/x, but not\n"
			    "/orders/70.  The longest match wins.\n\n"
			    "Paths:\n"
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
			    "                    most_in_window: the maximum of requests in any second\n"
			    "  /stats/seconds    requests, and those refused, in each second since the first\n"
			    "\nFaults:";

static void print_faults(void)
{
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

static const struct cmd_usage usage = {
	.verb = "mock",
	.forms = "[OPTION ...]",
	.about = "Starts a test server.  Runs until SIGINT or SIGTERM.",
	.options = options,
	.more = paths,
	.print_more = print_faults,
};

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
	const struct address *at = mock_server_address(command->server);
	char text[ADDRESS_TEXT_BYTES];
	address_text(at, text);
	if (!address_is_loopback(at))
		fprintf(stderr, "weir mock: %s is open to the network\n", text);
	if (command->port_file) {
		int result = write_port_file(command->port_file, address_port(at), err);
		if (result < 0)
			return result;
	}
	printf("weir mock listening on http://%s\n", text);
	if (fflush(stdout) != 0)
		return weir_error_set(err, WEIR_EIO, "cannot write to the standard output");
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
	fprintf(stderr, ", faults: %" PRIu64 ", connections: %" PRIu64 ", in flight: %zu, refused: %" PRIu64 "\n",
		faults, stats->accepted, stats->max_connections, stats->refused);
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

static int run(struct mock_command *command, struct weir_error *err)
{
	cmd_raise_descriptors();
	if (mock_server_new(&command->config, &command->server, err) < 0)
		return EX_UNAVAILABLE;
	command->signal_fd = cmd_signals_open();
	if (command->signal_fd < 0)
		weir_error_set(err, -errno, "signalfd: %s", strerror(errno));
	if (command->signal_fd < 0 || announce(command, err) < 0)
		return EX_IOERR;
	int result = weir_run(NULL, serve, command);
	summarize(mock_server_stats(command->server));
	if (result < 0)
		weir_error_set(err, result, "%s", weir_strerror(result));
	return result < 0 ? EX_IOERR : 0;
}

int cmd_mock(int argc, char **argv)
{
	static struct mock_command command = {.signal_fd = -1}; /* too large for a frame */
	struct weir_error err = {0};
	int words, code;
	mock_config_init(&command.config);
	if (cmd_options_read(&usage, argc, argv, &command, &words, &code)) {
		code = words ? cmd_refuse(&usage, "unexpected argument \"%.100s\"", argv[0]) : run(&command, &err);
		if (err.code)
			terminal_complain("weir mock", "%s", err.text);
	}
	mock_server_free(command.server);
	mock_config_fini(&command.config);
	if (command.signal_fd >= 0)
		close(command.signal_fd);
	return code;
}
