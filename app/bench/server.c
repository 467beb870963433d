/* SPDX-License-Identifier: MIT */
/*
 * initdb makes a cluster in FOLDER/server, which belongs to the user that the server runs as; then the server is
 * started as a child, without pg_ctl, so that its pid is known and it ends with its parent.  A port that was free may
 * be taken by another program meanwhile: then the next one is tried.
 */
#include "bench/server.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/child.h"
#include "data/address.h"
#include "data/buf.h"

enum { PORTS_TRIED = 5, LOOK_MS = 20, START_MS = 30000, STOP_MS = 10000, LOG_MOST = 1 << 20 };

struct place {
	char server[80], cluster[96], password[96], log[96]; /* paths */
};

static void name_paths(const char *folder, struct place *place)
{
	snprintf(place->server, sizeof place->server, "%.60s/server", folder);
	snprintf(place->cluster, sizeof place->cluster, "%s/cluster", place->server);
	snprintf(place->password, sizeof place->password, "%s/password", place->server);
	snprintf(place->log, sizeof place->log, "%s/log", place->server);
}

static void pause_ms(int ms)
{
	nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L}, NULL);
}

static int give_to_nobody(const char *path)
{
	const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;
	return nobody ? chown(path, nobody->pw_uid, nobody->pw_gid) : 0;
}

/* ---- the cluster */

static int write_password(struct bench_server *server, const char *path)
{
	unsigned char bytes[16];
	if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
		return -errno;
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(server->password + 2 * i, 3, "%02x", bytes[i]);
	FILE *file = fopen(path, "wxe");
	if (!file)
		return -errno;
	fprintf(file, "%s\n", server->password);
	return fclose(file) || chmod(path, 0600) < 0 || give_to_nobody(path) < 0 ? -errno : 0;
}

static int make_folder(struct bench_server *server, const char *folder, const struct place *place)
{
	if ((geteuid() == 0 && chmod(folder, 0711) < 0) || mkdir(place->server, 0700) < 0 ||
	    give_to_nobody(place->server) < 0)
		return -errno;
	return write_password(server, place->password);
}

static int make_cluster(const struct place *place, char *initdb, struct weir_error *err)
{
	char text[512], pwfile[128];
	snprintf(pwfile, sizeof pwfile, "--pwfile=%s", place->password);
	const char *const words[] = {initdb,         "-D",
				     place->cluster, "--username=postgres",
				     pwfile,         "--auth=scram-sha-256",
				     "--no-locale",  "--encoding=UTF8",
				     "--no-sync",    NULL};
	const struct bench_child child = {.words = words, .errors = true, .as_nobody = true};
	if (bench_child_run(&child, text, sizeof text) == 0)
		return 0;
	const char *line = strrchr(text, '\n');
	return weir_error_set(err, WEIR_EIO, "initdb failed: %.300s", line ? line + 1 : text);
}

/* ---- the server */

static int find_port(in_port_t *ret_port)
{
	struct address address;
	int fd = address_read("127.0.0.1:0", &address) ? address_listen(&address, 1, NULL) : WEIR_EIO;
	if (fd < 0)
		return fd;
	*ret_port = address_port(&address);
	close(fd);
	return 0;
}

/* The last line that the server writes into its pid file is what it does. */
static bool is_ready(const struct place *place)
{
	char path[128], line[160] = "";
	snprintf(path, sizeof path, "%s/postmaster.pid", place->cluster);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		;
	if (file)
		fclose(file);
	return strncmp(line, "ready", 5) == 0;
}

static bool has_ended(struct bench_server *server)
{
	if (waitpid(server->pid, NULL, WNOHANG) != server->pid)
		return false;
	server->pid = 0;
	return true;
}

static bool becomes_ready(struct bench_server *server, const struct place *place)
{
	for (int ms = 0; ms < START_MS; ms += LOOK_MS) {
		if (is_ready(place))
			return true;
		if (has_ended(server))
			return false;
		pause_ms(LOOK_MS);
	}
	bench_server_stop(server);
	return false;
}

static bool start_at(struct bench_server *server, const struct place *place, char *postgres, in_port_t port)
{
	char words_of_port[32];
	snprintf(words_of_port, sizeof words_of_port, "port=%u", (unsigned)port);
	const char *const words[] = {postgres,
				     "-D",
				     place->cluster,
				     "-c",
				     words_of_port,
				     "-c",
				     "listen_addresses=127.0.0.1",
				     "-c",
				     "unix_socket_directories=",
				     NULL};
	server->pid = bench_child_start(
		&(struct bench_child){.words = words, .file = place->log, .as_nobody = true, .end_signal = SIGQUIT},
		NULL);
	return server->pid > 0 && becomes_ready(server, place);
}

static int say_log(const struct place *place, struct weir_error *err)
{
	struct buf log = {0};
	buf_read_file(&log, place->log, 0, LOG_MOST);
	size_t from = log.len > 400 ? log.len - 400 : 0;
	weir_error_set(err, WEIR_EIO, "PostgreSQL does not start: %s",
		       log.len ? log.data + from : "it says nothing in its log");
	buf_fini(&log);
	return WEIR_EIO;
}

/* ---- who may come in */

/* Its owner is no superuser, so that it has no connection that others have not. */
static const char create_role[] =
	"DO $$BEGIN EXECUTE format('CREATE ROLE weir LOGIN PASSWORD %L', (SELECT rolpassword FROM pg_authid "
	"WHERE rolname = 'postgres')); END$$";

static int make_database(struct bench_server *server, in_port_t port, struct weir_error *err)
{
	char url[96], text[256];
	char *psql = bench_child_find_postgres("psql");
	if (!psql)
		return weir_error_set(err, WEIR_EIO, "psql is not installed; install it (Debian: postgresql-client)");
	snprintf(url, sizeof url, "postgres://postgres@127.0.0.1:%u/postgres", (unsigned)port);
	snprintf(server->url, sizeof server->url, "postgres://weir@127.0.0.1:%u/weir", (unsigned)port);
	const char *const sets[] = {"PGPASSWORD", server->password, NULL};
	const char *const words[] = {psql, "-Xqd", url, "-c", create_role, "-c", "CREATE DATABASE weir OWNER weir",
				     NULL};
	const struct bench_child child = {.words = words, .sets = sets, .errors = true};
	int status = bench_child_run(&child, text, sizeof text);
	free(psql);
	return status ? weir_error_set(err, WEIR_EIO, "psql failed: %s", text) : 0;
}

static int start_somewhere(struct bench_server *server, const struct place *place, char *postgres,
			   struct weir_error *err)
{
	for (int i = 0; i < PORTS_TRIED; i++) {
		in_port_t port;
		if (find_port(&port) == 0 && start_at(server, place, postgres, port))
			return make_database(server, port, err);
	}
	return say_log(place, err);
}

int bench_server_start(struct bench_server *server, const char *folder, struct weir_error *err)
{
	struct place place = {0};
	char *initdb = bench_child_find_postgres("initdb"), *postgres = bench_child_find_postgres("postgres");
	int code;
	*server = (struct bench_server){0};
	name_paths(folder, &place);
	if (!initdb || !postgres)
		code = weir_error_set(err, WEIR_EIO,
				      "PostgreSQL is not installed; install it (Debian: postgresql-15), or name a "
				      "server with --url postgres://USER@HOST/DATABASE");
	else if (make_folder(server, folder, &place) < 0)
		code = weir_error_set(err, WEIR_EIO, "%s: %s", place.server, strerror(errno));
	else
		code = make_cluster(&place, initdb, err);
	if (!code)
		code = start_somewhere(server, &place, postgres, err);
	free(initdb);
	free(postgres);
	if (code)
		bench_server_stop(server);
	return code;
}

void bench_server_stop(struct bench_server *server)
{
	if (server->pid <= 0)
		return;
	kill(server->pid, SIGINT); /* "fast": a shutdown without waiting for clients */
	for (int ms = 0; ms < STOP_MS; ms += LOOK_MS) {
		if (has_ended(server))
			return;
		pause_ms(LOOK_MS);
	}
	kill(server->pid, SIGQUIT);
	bench_child_wait(server->pid);
	server->pid = 0;
}
