/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Service load balancing at connect time.  User space expands weights into slots (smooth weighted round robin) and leaves
 * out what locality rules out, so a pick is one index and one look-up.  Least connections looks at every slot of a small
 * service and at two random ones of a larger one (Envoy's LEAST_REQUEST does the same with choice_count 2); least latency
 * takes the better of two, as Finagle's peak EWMA does.
 */
#ifndef PODWIRE_BALANCE_BPF_H
#define PODWIRE_BALANCE_BPF_H
#include "mesh_maps.bpf.h"

#define NSEC_PER_SEC 1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define LATENCY_TAU_US 10000000ull
#define LIMIT_TRIES 64

static __always_inline struct backend *balance_slot(const struct service *svc, __u32 slot)
{
	struct slot_key key = { .service = svc->id, .generation = svc->generation, .slot = slot };

	return bpf_map_lookup_elem(&lb_slots, &key);
}

static __always_inline __u64 balance_load(const struct backend *backend)
{
	struct backend_load *load = bpf_map_lookup_elem(&lb_loads, &backend->id);

	return load ? load->active : 0;
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

/*
 * What one more connection would wait there.  Latency that nobody measures any more fades, so that a backend that was slow
 * is tried again.  One that was never measured is tried at once, but not by everybody: it may not answer at all.
 */
static __always_inline __u64 balance_cost(const struct backend *backend, __u64 now)
{
	struct backend_load *load = bpf_map_lookup_elem(&lb_loads, &backend->id);
	__u64 latency, sampled, halves;

	if (!load)
		return 0;
	sampled = load->sampled_ns;
	if (!sampled)
		return load->active * LATENCY_PENALTY_MS * NSEC_PER_MSEC;
	latency = load->latency_ns;
	if (now > sampled) {
		halves = (now - sampled) / (LATENCY_HALF_LIFE_MS * NSEC_PER_MSEC);
		latency = halves < 32 ? latency >> halves : 0;
	}
	return (latency + 1) * (load->active + 1);
}

static __noinline struct backend *balance_quickest(const struct service *svc)
{
	__u64 now = bpf_ktime_get_ns();
	struct backend *a, *b;
	__u32 first;

	if (!svc->slots)
		return NULL;
	first = bpf_get_prandom_u32() % svc->slots;
	a = balance_slot(svc, first);
	if (svc->slots == 1)
		return a;
	b = balance_slot(svc, (first + 1 + bpf_get_prandom_u32() % (svc->slots - 1)) % svc->slots);
	if (!a)
		return b;
	if (!b)
		return a;
	return balance_cost(b, now) < balance_cost(a, now) ? b : a;
}

/* NULL when there is no ready endpoint. */
static __always_inline struct backend *balance_choose(const struct service *svc)
{
	struct backend *best = NULL;
	__u32 first;

	if (!svc->slots)
		return NULL;
	if (svc->policy == LB_RANDOM)
		return balance_slot(svc, bpf_get_prandom_u32() % svc->slots);
	if (svc->policy == LB_LEAST_LATENCY)
		return balance_quickest(svc);
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

/* NULL when the backend is not one of the Service's any more. */
static __always_inline struct backend *balance_member(const struct service *svc, __u32 backend)
{
	struct member_key key = { .service = svc->id,
				  .generation = svc->generation,
				  .backend = backend };

	return bpf_map_lookup_elem(&lb_members, &key);
}

/*
 * Session affinity: where the pod's last connection went, unless that is too long ago or gone.  Of several connects that
 * meet no usable entry at once the first decides, the others follow it.
 */
static __noinline struct backend *balance_affine(const struct service *svc, __u64 netns)
{
	struct affinity_key key = { .netns = netns, .service = svc->id };
	struct affinity *entry = bpf_map_lookup_elem(&lb_affinity, &key);
	__u64 now = bpf_ktime_get_ns();
	struct backend *picked, *kept = NULL;
	__u32 was = 0, is;

	if (entry) {
		was = entry->backend;
		if (entry->used_ns + svc->affinity_s * NSEC_PER_SEC > now)
			kept = balance_member(svc, was);
		if (kept) {
			entry->used_ns = now;
			return kept;
		}
	}
	picked = balance_choose(svc);
	if (!picked)
		return NULL;
	if (!entry) {
		struct affinity fresh = { .used_ns = now, .backend = picked->id };

		if (!bpf_map_update_elem(&lb_affinity, &key, &fresh, BPF_NOEXIST))
			return picked;
		entry = bpf_map_lookup_elem(&lb_affinity, &key);
		if (!entry)
			return picked;
		is = entry->backend;
	} else {
		is = __sync_val_compare_and_swap(&entry->backend, was, picked->id);
		entry->used_ns = now;
		if (is == was)
			return picked;
	}
	kept = balance_member(svc, is);
	return kept ? kept : picked;
}

/* NULL when there is no ready endpoint. */
static __always_inline struct backend *balance_pick(const struct service *svc, __u64 netns)
{
	if (!svc->slots)
		return NULL;
	count(COUNTER_LB_PICKS);
	return svc->affinity_s ? balance_affine(svc, netns) : balance_choose(svc);
}

static __always_inline void balance_opened(__u32 backend)
{
	struct backend_load *load = bpf_map_lookup_elem(&lb_loads, &backend);

	if (load)
		__sync_fetch_and_add(&load->active, 1);
}

static __always_inline void balance_closed(__u32 backend)
{
	struct backend_load *load = bpf_map_lookup_elem(&lb_loads, &backend);

	if (load)
		__sync_fetch_and_sub(&load->active, 1);
}

/*
 * Peaks count at once, improvements with the weight of the time since the last sample.  Two CPUs may overwrite each other's
 * sample: one of two is enough.
 */
static __noinline int balance_sample(__u32 backend, __u64 latency_ns)
{
	struct backend_load *load = bpf_map_lookup_elem(&lb_loads, &backend);
	__u64 now = bpf_ktime_get_ns(), past, age_us;

	if (!load)
		return 0;
	past = load->latency_ns;
	if (load->sampled_ns && latency_ns < past) {
		age_us = now > load->sampled_ns ? (now - load->sampled_ns) / 1000 : 0;
		if (age_us > 6 * LATENCY_TAU_US)
			age_us = 6 * LATENCY_TAU_US;
		/* latencies are below 2^37 ns: TCP gives up long before */
		latency_ns = (past * LATENCY_TAU_US + latency_ns * age_us) /
			     (LATENCY_TAU_US + age_us);
	}
	load->latency_ns = latency_ns;
	load->sampled_ns = now;
	return 0;
}

/*
 * Takes one of a Service's connections; false: all are taken.  Compare and swap, because a count that is raised first and
 * corrected afterwards would refuse others meanwhile.  A loop that loses LIMIT_TRIES races refuses: never one too many.
 */
static __noinline bool limit_take(__u64 *taken, __u64 most)
{
	__u64 was, seen;

	if (!taken)
		return true;
	was = *(volatile __u64 *)taken;
	for (int i = 0; i < LIMIT_TRIES; i++) {
		if (was >= most)
			return false;
		seen = __sync_val_compare_and_swap(taken, was, was + 1);
		if (seen == was)
			return true;
		was = seen;
	}
	return false;
}

static __always_inline void limit_return(struct intent *intent)
{
	__u32 limit = intent->limit;
	__u64 *taken;

	if (!(intent->flags & INTENT_LIMITED))
		return;
	intent->flags &= ~INTENT_LIMITED;
	taken = bpf_map_lookup_elem(&lb_limits, &limit);
	if (taken)
		__sync_fetch_and_sub(taken, 1);
}

#endif
