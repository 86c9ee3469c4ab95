/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * L4 policy of one pod, compiled by src/compile/kernel/policy.  A pod without a table has no policy.  In a table the
 * order is (identity, port), (identity, any port), (anybody, any port), deny: a number the table does not know is denied,
 * never allowed; the third entry is there only where the whole table is the agent's to decide.
 */
#ifndef PODWIRE_POLICY_BPF_H
#define PODWIRE_POLICY_BPF_H
#include "counters.bpf.h"
#include "flow.bpf.h"

#define POLICY_ASK 0xffff /* no reason: the agent decides */

/* enum reason: REASON_NONE when allowed; or POLICY_ASK.  *policy gets the number of the rule that denies. */
static __always_inline __u32 policy_check(__u32 pod, __u32 identity, __u32 port, const __u8 *source,
					  __u32 *policy)
{
	struct policy_key key = { .identity = identity, .port = port };
	struct policy_verdict *v;
	void *table = bpf_map_lookup_elem(&policies, &pod);

	*policy = 0;
	if (!table)
		return REASON_NONE;
	v = bpf_map_lookup_elem(table, &key);
	if (!v) {
		key.port = 0;
		v = bpf_map_lookup_elem(table, &key);
	}
	if (!v) {
		key.identity = IDENTITY_ANY;
		v = bpf_map_lookup_elem(table, &key);
	}
	if (!v)
		return REASON_IDENTITY_UNKNOWN;
	if (v->verdict == VERDICT_CIDR) {
		struct cidr_key cidr = { .prefixlen = 160, .table = v->cidr_table };

		__builtin_memcpy(cidr.addr, source, 16);
		v = bpf_map_lookup_elem(&cidr_rules, &cidr);
		if (!v)
			return REASON_POLICY;
	}
	if (v->verdict == VERDICT_ASK)
		return POLICY_ASK;
	*policy = v->policy;
	return v->verdict == VERDICT_ALLOW ? REASON_NONE : REASON_POLICY;
}

#endif
