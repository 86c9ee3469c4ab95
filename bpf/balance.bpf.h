/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Service load balancing at connect time.  User space expands weights into slots (smooth weighted round robin), so a
 * pick is one index and one look-up.  Least connections looks at every slot of a small service and at two random ones
 * of a larger one (Envoy's LEAST_REQUEST does the same with choice_count 2).
 */
#ifndef PODWIRE_BALANCE_BPF_H
#define PODWIRE_BALANCE_BPF_H
#include "mesh_maps.bpf.h"

static __always_inline struct backend *balance_slot(const struct service *svc, __u32 slot)
{
	struct slot_key key = { .service = svc->id, .generation = svc->generation, .slot = slot };

	return bpf_map_lookup_elem(&lb_slots, &key);
}

static __always_inline __u64 balance_load(const struct backend *backend)
{
	__u64 *active = bpf_map_lookup_elem(&lb_active, &backend->id);

	return active ? *active : 0;
}

static __always_inline struct backend *balance_less(struct backend *a, struct backend *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	return balance_load(b) < balance_load(a) ? b : a;
}

static __always_inline __u32 balance_next(const struct service *svc)
{
	__u32 slot = svc->cursor_slot;
	__u64 *cursor = bpf_map_lookup_elem(&lb_cursors, &slot);

	return cursor ? __sync_fetch_and_add(cursor, 1) % svc->slots : 0;
}

/* NULL when there is no ready endpoint. */
static __always_inline struct backend *balance_pick(const struct service *svc)
{
	struct backend *best = NULL;
	__u32 first;

	if (!svc->slots)
		return NULL;
	count(COUNTER_LB_PICKS);
	if (svc->policy == LB_RANDOM)
		return balance_slot(svc, bpf_get_prandom_u32() % svc->slots);
	if (svc->policy != LB_LEAST_CONN)
		return balance_slot(svc, balance_next(svc));
	if (svc->slots > FULL_SCAN_BACKENDS)
		return balance_less(balance_slot(svc, bpf_get_prandom_u32() % svc->slots),
				    balance_slot(svc, bpf_get_prandom_u32() % svc->slots));
	/* Start at the cursor, so that equally loaded backends take turns. */
	first = balance_next(svc);
	for (__u32 i = 0; i < FULL_SCAN_BACKENDS; i++) {
		if (i >= svc->slots)
			break;
		best = balance_less(best, balance_slot(svc, (first + i) % svc->slots));
	}
	return best;
}

static __always_inline void balance_opened(__u32 backend)
{
	__u64 *active = bpf_map_lookup_elem(&lb_active, &backend);

	if (active)
		__sync_fetch_and_add(active, 1);
}

static __always_inline void balance_closed(__u32 backend)
{
	__u64 *active = bpf_map_lookup_elem(&lb_active, &backend);

	if (active)
		__sync_fetch_and_sub(active, 1);
}

#endif
