/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Counters are rows per CPU in a plain array: no atomics, one read for user space.  A program may be interrupted by
 * another one on the same CPU, so a count can be lost now and then; nothing but statistics rests on them.
 */
#ifndef PODWIRE_COUNTERS_BPF_H
#define PODWIRE_COUNTERS_BPF_H
#include "maps.bpf.h"

static __always_inline void count_add(enum counter counter, __u64 n)
{
	__u32 i = bpf_get_smp_processor_id() * COUNTER_MAX + counter;
	__u64 *v = bpf_map_lookup_elem(&counters, &i);

	if (v)
		*v += n;
}

static __always_inline void count(enum counter counter)
{
	count_add(counter, 1);
}

static __always_inline void count_reason(__u32 reason)
{
	__u32 i = bpf_get_smp_processor_id() * REASON_MAX + reason;
	__u64 *v = bpf_map_lookup_elem(&reasons, &i);

	if (v)
		*v += 1;
}

#endif
