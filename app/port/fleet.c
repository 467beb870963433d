/* SPDX-License-Identifier: MIT */
#include "port/fleet.h"

#include <stdlib.h>

void fleet_view_fini(struct fleet_view *view)
{
	for (size_t i = 0; i < view->n; i++) {
		free(view->workers[i].name);
		free(view->workers[i].record);
	}
	free(view->workers);
	free(view->settings);
	free(view->stop);
	*view = (struct fleet_view){0};
}
