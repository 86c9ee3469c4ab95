/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Events to user space, one per connection at most.  No wake-up is sent (each costs 5-10 us on a small machine): the
 * agent looks into the ring ten times a second.  What does not fit is counted in COUNTER_EVENTS_LOST.
 */
#ifndef PODWIRE_EVENTS_BPF_H
#define PODWIRE_EVENTS_BPF_H
#include "counters.bpf.h"
#include "flow.bpf.h"

struct denial {
	__u32 reason;
	__u32 policy;
	__u32 source_pod;
	__u32 source_identity;
	__u32 destination_pod;
	__u32 destination_identity;
	__u32 service;
};

static __always_inline struct flow_event *event_reserve(__u32 type)
{
	struct flow_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(COUNTER_EVENTS_LOST);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->type = type;
	return e;
}

/* A connection was refused; `client` is the client's view of it. */
static __always_inline void event_denied(const struct flow_key *client, const struct denial *d)
{
	struct flow_event *e;

	count_reason(d->reason);
	e = event_reserve(EVENT_DENIED);
	if (!e)
		return;
	e->reason = d->reason;
	e->key = *client;
	e->ended_ns = bpf_ktime_get_ns();
	e->born_ns = e->ended_ns;
	e->policy = d->policy;
	e->source_pod = d->source_pod;
	e->source_identity = d->source_identity;
	e->destination_pod = d->destination_pod;
	e->destination_identity = d->destination_identity;
	e->service = d->service;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

#endif
