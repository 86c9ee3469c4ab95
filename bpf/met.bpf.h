/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * On demand: the agent is told of addresses that pods dial and the kernel knows nobody at.  The connection goes on as it is.
 *
 * Told once per pod, address and MET_AGAIN_S, and of MET_PER_SECOND addresses per pod and second: a pod that dials all
 * there is fills neither the ring nor the agent.  What was not told is told at a later connection.
 */
#ifndef PODWIRE_MET_BPF_H
#define PODWIRE_MET_BPF_H
#include "events.bpf.h"

#define NS_PER_SECOND 1000000000ULL

static __always_inline bool met_within_budget(__u32 pod, __u64 now)
{
	struct met_budget *budget = bpf_map_lookup_elem(&met_budgets, &pod);

	if (!budget)
		return false;
	if (now - budget->since_ns > NS_PER_SECOND) {
		budget->since_ns = now;
		budget->told = 0;
	}
	/* Races between CPUs cost some events more or less. */
	return budget->told++ < MET_PER_SECOND;
}

static __always_inline void met_tell(const struct pod *pod, const __u8 *addr, __u16 port)
{
	struct config *config = config_get();
	struct met_key key = { .pod = pod->id };
	__u64 now, *told;
	struct flow_event *e;

	if (!config || !config->on_demand || bpf_map_lookup_elem(&locals, addr))
		return;
	addr_copy(key.addr, addr);
	now = bpf_ktime_get_ns();
	told = bpf_map_lookup_elem(&met, &key);
	if (told && now - *told < MET_AGAIN_S * NS_PER_SECOND)
		return;
	if (!met_within_budget(pod->id, now))
		return;
	if (bpf_map_update_elem(&met, &key, &now, BPF_ANY))
		return;
	e = event_reserve(EVENT_MET);
	if (!e)
		return;
	addr_copy(e->key.remote, addr);
	e->key.remote_port = port;
	e->source_pod = pod->id;
	e->source_identity = pod->identity;
	bpf_ringbuf_submit(e, BPF_RB_FORCE_WAKEUP);
}

#endif
