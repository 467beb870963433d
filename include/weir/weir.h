/* SPDX-License-Identifier: MIT */
/* Everything libweir offers.  Each header says what its part is for; start with run.h, group.h and queue.h. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/backoff.h>
#include <weir/base.h>
#include <weir/breaker.h>
#include <weir/child.h>
#include <weir/event.h>
#include <weir/gate.h>
#include <weir/group.h>
#include <weir/heap.h>
#include <weir/histogram.h>
#include <weir/inspect.h>
#include <weir/io.h>
#include <weir/metrics.h>
#include <weir/offload.h>
#include <weir/outcome.h>
#include <weir/process.h>
#include <weir/queue.h>
#include <weir/random.h>
#include <weir/rate.h>
#include <weir/run.h>
#include <weir/select.h>
#include <weir/sem.h>
#include <weir/signal.h>
#include <weir/table.h>

#endif
