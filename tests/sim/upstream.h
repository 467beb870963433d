/* SPDX-License-Identifier: MIT */
/* The server's side of a simulation. */
#ifndef SIM_UPSTREAM_H
#define SIM_UPSTREAM_H

#include "sim/sim.h"

struct sim_upstream {
	const struct sim_model *model;
	uint64_t *random;
	weir_nsec *free_at; /* of each server, a heap: the first is free first */
	size_t inside;      /* being served or waiting */
	double tokens;
	weir_nsec tokens_at;
	int64_t window;   /* number of the fixed window */
	double in_window; /* let through in it */
	double neighbour; /* the share that somebody else takes */
	weir_nsec neighbour_until;
};

struct sim_answer {
	enum weir_outcome outcome;
	struct weir_hint hint;
	bool is_inside, is_rejection;
	weir_nsec leaves; /* the server */
};

int sim_upstream_init(struct sim_upstream *upstream, const struct sim_model *model, uint64_t *random);
void sim_upstream_fini(struct sim_upstream *upstream);

/* A request arrives. */
void sim_upstream_arrive(struct sim_upstream *upstream, weir_nsec now, struct sim_answer *ret_answer);
/* One that was inside leaves. */
void sim_upstream_leave(struct sim_upstream *upstream);

/* One way through the network. */
weir_nsec sim_upstream_way(struct sim_upstream *upstream, weir_nsec now);

#endif
