// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The kernel's part of the splice self-test (src/kernel/self-test.ts): two sockets in a sockhash, an sk_msg verdict that
 * redirects or passes as told for each message, and the sk_skb verdict that only passes.  It proves on this very kernel
 * what the one-queue protocol rests on: one order for both legs, FIONREAD, copied_seq, and that a segment can be cut at
 * its front, as those are that repeat what has arrived (podwire_arrived in splice.bpf.h).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char _license[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} selftest_socks SEC(".maps");

/*
 * [0]: redirect the next messages (1) or let TCP carry them (0); [1]: messages redirected; [2]: messages passed; [3]: bytes
 * to cut off the next segment
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} selftest_control SEC(".maps");

static __always_inline __u64 *control(__u32 i)
{
	return bpf_map_lookup_elem(&selftest_control, &i);
}

SEC("sk_msg")
int selftest_verdict(struct sk_msg_md *msg)
{
	__u32 reader = 1;
	__u64 *redirect = control(0), *redirected = control(1), *passed = control(2);

	if (redirect && *redirect &&
	    bpf_msg_redirect_hash(msg, &selftest_socks, &reader, BPF_F_INGRESS) == SK_PASS) {
		if (redirected)
			*redirected += 1;
		return SK_PASS;
	}
	if (passed)
		*passed += 1;
	return SK_PASS;
}

SEC("sk_skb/stream_verdict")
int selftest_arrived(struct __sk_buff *skb)
{
	__u64 *cut = control(3);
	__s32 bytes;

	if (!cut || !*cut)
		return SK_PASS;
	bytes = *cut;
	if (!bpf_skb_adjust_room(skb, -bytes, 0, 0))
		*cut = 0;
	return SK_PASS;
}
