/* SPDX-License-Identifier: MIT */
/* The heap against a sorted array. */
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <weir/heap.h>
#include <weir/random.h>

enum { MOST = 600 };

struct owner {
	int64_t key;
	struct weir_heap_node node;
};

/* The naive model: always sorted, equal keys in the order of their adding. */
struct model {
	struct owner *sorted[MOST];
	size_t n;
};

static void model_add(struct model *model, struct owner *owner)
{
	size_t at = model->n;
	while (at > 0 && model->sorted[at - 1]->key > owner->key)
		at--;
	memmove(&model->sorted[at + 1], &model->sorted[at], (model->n - at) * sizeof model->sorted[0]);
	model->sorted[at] = owner;
	model->n++;
}

static void model_remove(struct model *model, const struct owner *owner)
{
	size_t at = 0;
	while (model->sorted[at] != owner)
		at++;
	model->n--;
	memmove(&model->sorted[at], &model->sorted[at + 1], (model->n - at) * sizeof model->sorted[0]);
}

static void assert_same(const struct weir_heap *heap, const struct model *model)
{
	quick_assert(heap->n == model->n);
	if (!model->n)
		return;
	quick_assert(weir_heap_top(heap).node == &model->sorted[0]->node);
	quick_assert(weir_heap_top(heap).key == model->sorted[0]->key);
	for (size_t i = 0; i < model->n; i++) {
		size_t index = model->sorted[i]->node.index;
		quick_assert(index >= 1 && index <= heap->n);
		quick_assert(heap->entries[index].node == &model->sorted[i]->node);
	}
}

/* Keys from few to many kinds, so that there are ties; mostly growing or mostly shrinking by turns. */
static void random_operations(uint64_t seed, int64_t kinds)
{
	static struct owner owners[MOST];
	struct weir_heap heap = {0};
	struct model model = {0};
	memset(owners, 0, sizeof owners);
	for (int step = 0; step < 6000; step++) {
		struct owner *owner = &owners[weir_random(&seed) % MOST];
		bool growing = step / 1500 % 2 == 0;
		if (owner->node.index && (!growing || weir_random(&seed) % 4 == 0)) {
			weir_heap_remove(&heap, &owner->node);
			model_remove(&model, owner);
			quick_assert(owner->node.index == 0);
		} else if (!owner->node.index && (growing || weir_random(&seed) % 4 == 0)) {
			owner->key = (int64_t)(weir_random(&seed) % (uint64_t)kinds) - kinds / 2;
			quick_assert(weir_heap_reserve(&heap, model.n + 1) == 0);
			weir_heap_add(&heap, owner->key, &owner->node);
			model_add(&model, owner);
		}
		assert_same(&heap, &model);
	}
	while (model.n) {
		weir_heap_remove(&heap, weir_heap_top(&heap).node);
		model_remove(&model, model.sorted[0]);
		assert_same(&heap, &model);
	}
	weir_heap_fini(&heap);
}

TEST(heap_is_a_sorted_array)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		random_operations(seed, 1);
		random_operations(seed, 5);
		random_operations(seed, 1000000000);
	}
}

TEST(heap_keys_at_the_ends_of_their_range)
{
	struct weir_heap heap = {0};
	struct owner a = {.key = INT64_MAX}, b = {.key = INT64_MIN}, c = {.key = 0};
	ck_assert_int_eq(weir_heap_reserve(&heap, 3), 0);
	weir_heap_add(&heap, a.key, &a.node);
	weir_heap_add(&heap, b.key, &b.node);
	weir_heap_add(&heap, c.key, &c.node);
	ck_assert_ptr_eq(weir_heap_top(&heap).node, &b.node);
	weir_heap_remove(&heap, &b.node);
	ck_assert_ptr_eq(weir_heap_top(&heap).node, &c.node);
	weir_heap_remove(&heap, &c.node);
	ck_assert_ptr_eq(weir_heap_top(&heap).node, &a.node);
	weir_heap_fini(&heap);
}
