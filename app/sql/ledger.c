/* SPDX-License-Identifier: MIT */
#include "sql/ledger.h"

#include "sql/config.h"

#include <strings.h>
#include <weir/weir.h>

#define SEEN_EACH (600 * WEIR_SEC)

bool sql_ledger_is_needed(const struct sql_config *config)
{
	return !config->key.n;
}

bool sql_ledger_has_name(const char *table)
{
	static const char *const names[] = {SQL_LEDGER, SQL_LEDGER_ITEMS, SQL_LEDGER_RUNS};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcasecmp(table, names[i]) == 0)
			return true;
	return false;
}

void sql_ledger_noted(struct sql_ledger *ledger)
{
	ledger->seen_at = weir_now();
	ledger->clears = true;
}

void sql_ledger_tend(struct sql_ledger *ledger, const struct sql_ledger_ops *ops, void *db, weir_nsec deadline)
{
	bool more = false;
	if (ledger->clears && !ops->clear(db, &more, deadline))
		ledger->clears = more;
	bool is_due = !ledger->seen_at || weir_now() - ledger->seen_at >= SEEN_EACH;
	if (is_due && !ops->note(db, deadline))
		sql_ledger_noted(ledger);
}
