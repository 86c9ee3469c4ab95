/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one-queue protocol.  The sockhash has two programs: this sk_msg verdict, and an sk_skb verdict that only passes.
 * The second moves every byte that arrives through TCP into the same psock queue that redirection uses, so the reader
 * has one queue in arrival order whichever way a message came: FIONREAD, epoll and order stay right, each message may
 * choose its leg, and TCP supplies the backpressure.  Nothing here needs the agent.
 *
 * Leaving TCP for the redirect leg needs proof that every byte sent through TCP is in the peer's psock queue: received
 * (rcv_nxt == write_seq), softirq and backlog done (lock free), nothing deferred (sk_receive_queue, ingress_skb empty).
 * bpf_tcp_ingress() takes lock_sock(peer), so the order then holds.  Leaving the redirect leg needs no proof.
 */
#ifndef PODWIRE_SPLICE_BPF_H
#define PODWIRE_SPLICE_BPF_H
#include "mesh_maps.bpf.h"
#include "policy.bpf.h"
#include "sockops.bpf.h"

#define LEG_TCP 0
#define LEG_REDIRECT 1
#define MESSAGE_OVERHEAD 1280 /* struct sk_msg and its slab, measured */

/* The client learns at its first message whether the server's end was paired. */
static __always_inline bool find_peer(struct conn *conn)
{
	struct flow_key key;
	struct record *rec;

	flow_flip(&conn->peer, &key);
	rec = bpf_map_lookup_elem(&records, &key);
	if (!rec)
		return false;
	if (rec->pair == PAIR_PLAIN) {
		conn->flags |= CONN_PLAIN;
		conn->reason = rec->reason;
		return false;
	}
	if (rec->pair != PAIR_PAIRED)
		return false;
	conn->peer_cookie = rec->server_cookie;
	conn->peer_sock = rec->server_sock;
	conn->flags |= CONN_PAIRED;
	return true;
}

/* The policy may have changed since this connection was admitted: evaluate again, once per epoch. */
static __always_inline bool still_allowed(struct conn *conn, struct config *cfg)
{
	bool client = conn->flags & CONN_CLIENT;
	__u32 port = client ? conn->peer.local_port : conn->peer.remote_port, reason, policy;

	if (conn->epoch == cfg->epoch)
		return true;
	conn->epoch = cfg->epoch;
	if (conn->peer.netns || !conn->destination_pod || conn->flags & CONN_SECOND_LEG)
		return true; /* within a pod */
	reason = policy_check(conn->destination_pod, conn->source_identity, port,
			      client ? conn->peer.remote : conn->peer.local, &policy);
	if (!reason || reason == POLICY_ASK) {
		if (!(conn->flags & CONN_PLAIN) &&
		    network_forbids(conn->source_pod, conn->destination_pod, port)) {
			if (client)
				count_reason(REASON_NETWORK_POLICY);
			conn->reason = REASON_NETWORK_POLICY;
			conn->flags |= CONN_PLAIN;
		}
		return true;
	}
	conn->policy = policy;
	conn->reason = REASON_REVOKED;
	conn->flags |= CONN_REVOKED | CONN_PLAIN;
	return false;
}

static __always_inline bool lease_take(struct conn *conn, struct config *cfg)
{
	__u32 zero = 0,
	      reader = conn->flags & CONN_CLIENT ? conn->destination_pod : conn->source_pod;
	struct pod_usage *node, *pod;

	if (conn->lease)
		return true;
	node = bpf_map_lookup_elem(&node_usage, &zero);
	pod = bpf_map_lookup_elem(&pod_usage, &reader);
	if (!node || !pod)
		return false;
	if (__sync_fetch_and_add(&node->leases, 1) >= cfg->node_leases)
		goto undo_node;
	if (__sync_fetch_and_add(&pod->leases, 1) >= cfg->pod_leases)
		goto undo_pod;
	conn->lease = 1;
	return true;
undo_pod:
	__sync_fetch_and_sub(&pod->leases, 1);
undo_node:
	__sync_fetch_and_sub(&node->leases, 1);
	return false;
}

/*
 * Unread redirected messages, in two buckets: those since the mark and those before it.  When all that was sent up to
 * the mark has been read, the older bucket is empty and the mark moves.
 */
static __always_inline void forget_read(struct conn *conn, struct sk_psock *psock)
{
	__u64 unread = psock->msg_tot_len;

	if (conn->redirected_bytes >= unread && conn->redirected_bytes - unread >= conn->mark) {
		conn->mark_messages = conn->messages;
		conn->messages = 0;
		conn->mark = conn->redirected_bytes;
	}
}

#define PAGE_SHIFT 12

/*
 * bpf_tcp_ingress() charges the reader's memory and hands a refusal to the writer as ENOMEM, where TCP would let it wait.
 * So a message that needs a new charge is left to TCP when the reader's control group, or TCP as a whole, is short.
 */
static __always_inline bool short_of_memory(struct sock *reader, __u32 size)
{
	struct mem_cgroup *group;
	__u64 pages = (size >> PAGE_SHIFT) + 2;
	unsigned long pressure = 0;

	if (reader->sk_forward_alloc >= (int)size)
		return false;
	bpf_probe_read_kernel(&pressure, sizeof(pressure),
			      reader->__sk_common.skc_prot->memory_pressure);
	if (pressure)
		return true;
	group = reader->sk_memcg;
	if (!group)
		return false;
	if (bpf_core_field_exists(group->tcpmem_active) && group->tcpmem_active &&
	    group->tcpmem.usage.counter + pages > group->tcpmem.max)
		return true; /* cgroup v1 */
	return group->socket_pressure > bpf_jiffies64(); /* cgroup v2 */
}

/* True: redirect this message.  False: TCP carries it. */
static __always_inline bool choose_leg(struct sk_msg_md *msg, struct conn *conn, struct config *cfg,
				       struct tcp_sock *tp, struct tcp_sock *peer)
{
	struct sock *psk = &peer->inet_conn.icsk_inet.sk;
	struct sk_psock *psock = CAST((__u64)psk->sk_user_data & ~7ull, sk_psock);
	__u32 me = conn->flags & CONN_CLIENT ? ENDS_CLIENT : ENDS_SERVER,
	      slot = conn->turn & (TURN_SLOTS - 1);
	__u32 used = psk->sk_backlog.rmem_alloc.counter, size = msg->size, cost;
	__u32 *turn = bpf_map_lookup_elem(&turns, &slot);

	if (turn && *turn != me) {
		*turn = me;
		conn->run = 0;
		conn->flags &= ~CONN_FLOOD;
	} else {
		conn->run++;
	}
	if (size <= cfg->flood_bytes && size >= cfg->flood_min_bytes &&
	    conn->run >= cfg->flood_run) {
		if (!(conn->flags & CONN_FLOOD)) {
			conn->flags |= CONN_FLOOD;
			count(COUNTER_LEG_FLOOD);
		}
		conn->flood_bytes += cfg->flood_stride;
		bpf_msg_apply_bytes(msg, cfg->flood_stride);
		return false;
	}
	if (!used) {
		conn->messages = conn->mark_messages = 0;
		conn->mark = conn->redirected_bytes;
		if (conn->lease)
			lease_return(conn);
	}
	if (conn->leg == LEG_TCP) {
		if (used > cfg->resume_bytes)
			return false;
		if (peer->rcv_nxt != tp->write_seq ||
		    psk->sk_lock.slock.rlock.raw_lock.val.counter || psk->sk_lock.owned ||
		    psk->sk_receive_queue.qlen || psock->ingress_skb.qlen) {
			count(COUNTER_LEG_INFLIGHT);
			return false;
		}
		conn->leg = LEG_REDIRECT;
	}
	if (short_of_memory(psk, size)) {
		conn->leg = LEG_TCP;
		count(COUNTER_LEG_MEMORY);
		return false;
	}
	if (!used && size <= cfg->free_bytes)
		return true;
	if (cfg->owned_tcp_bytes && size >= cfg->owned_tcp_bytes && psk->sk_lock.owned) {
		/* Redirecting would sleep on the reader's lock and pay a wake-up; TCP uses the socket's backlog. */
		conn->leg = LEG_TCP;
		count(COUNTER_LEG_OWNED);
		return false;
	}
	if (conn->messages >= 64)
		forget_read(conn, psock);
	cost = used + (conn->messages + conn->mark_messages) * MESSAGE_OVERHEAD;
	if (cost > cfg->cap_bytes) {
		forget_read(conn, psock);
		cost = used + (conn->messages + conn->mark_messages) * MESSAGE_OVERHEAD;
	}
	if (cost > cfg->cap_bytes) {
		conn->leg = LEG_TCP;
		if (has_sleeper(
			    tp,
			    false)) /* room in TCP's buffer will wake the thread that reads here */
			note_blocking_duplex(conn);
		count(COUNTER_LEG_FULL);
		return false;
	}
	if (cost + size > cfg->free_bytes && !lease_take(conn, cfg)) {
		conn->leg = LEG_TCP;
		count(COUNTER_LEG_BUDGET);
		return false;
	}
	return true;
}

SEC("sk_msg")
int podwire_verdict(struct sk_msg_md *msg)
{
	struct bpf_sock *sk = msg->sk;
	struct tcp_sock *tp, *peer;
	struct config *cfg;
	struct conn *conn;
	__u32 state, peer_state;

	if (!sk)
		return SK_PASS;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!conn)
		return SK_PASS;
	cfg = config_get();
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp || !cfg)
		goto pass;
	if (!still_allowed(conn, cfg) || conn->flags & CONN_REVOKED)
		return SK_DROP; /* terminal for this socket; the agent ends both ends */
	if (conn->flags & CONN_PLAIN || !cfg->splice)
		goto tcp;
	if (!(conn->flags & CONN_PAIRED) && !find_peer(conn))
		goto pass;
	peer = CAST(conn->peer_sock, tcp_sock);
	/* The kernel checks neither SHUT_WR, nor a reset, nor a reused address before it redirects. */
	state = sk->state;
	peer_state = peer->inet_conn.icsk_inet.sk.__sk_common.skc_state;
	if ((state != BPF_TCP_ESTABLISHED && state != BPF_TCP_CLOSE_WAIT) ||
	    (peer_state != BPF_TCP_ESTABLISHED && peer_state != BPF_TCP_FIN_WAIT1 &&
	     peer_state != BPF_TCP_FIN_WAIT2))
		goto tcp;
	if (peer->inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter != conn->peer_cookie) {
		conn->flags |= CONN_PLAIN;
		goto tcp;
	}
	if (!choose_leg(msg, conn, cfg, tp, peer))
		goto tcp;
	/* Never return the helper's own verdict: its SK_DROP would end the socket with EACCES. */
	if (bpf_msg_redirect_hash(msg, &socks, &conn->peer, BPF_F_INGRESS) != SK_PASS) {
		conn->leg = LEG_TCP;
		count(COUNTER_REDIRECT_FAILED);
		goto tcp;
	}
	conn->messages++;
	conn->redirected_messages++;
	conn->redirected_bytes += msg->size;
	count(COUNTER_REDIRECT_MESSAGES);
	count_add(COUNTER_REDIRECT_BYTES, msg->size);
	return SK_PASS;
tcp:
	conn->leg = LEG_TCP;
pass:
	conn->tcp_messages++;
	count(COUNTER_TCP_MESSAGES);
	count_add(COUNTER_TCP_BYTES, msg->size);
	return SK_PASS;
}

extern void *bpf_cast_to_kern_ctx(void *obj) __ksym;

#define ADJUST_MAX 4095 /* bpf_skb_adjust_room() takes no more at once */
#define SEGMENT_MAX (512 * 1024) /* BIG TCP */

/*
 * Bytes that came through TCP.  tcp_read_skb() hands over whole segments and forgets that a retransmission, or a segment
 * of the out-of-order queue, may begin before rcv_nxt (tcp_recvmsg() skips those bytes by copied_seq): without the cut
 * the reader would see them twice.  A segment that is wholly old never comes here, TCP drops it.
 */
SEC("sk_skb/stream_verdict")
int podwire_arrived(struct __sk_buff *skb)
{
	struct sk_buff *segment = bpf_cast_to_kern_ctx(skb);
	struct tcp_skb_cb *cb = CAST(segment->cb, tcp_skb_cb);
	__u64 cookie = bpf_get_socket_cookie(skb);
	__u32 *next = bpf_map_lookup_elem(&arrived, &cookie), end = cb->end_seq;
	struct tcp_sock *tp;
	__s32 old;

	if (next) {
		old = *next - cb->seq;
		*next = end;
	} else {
		/* The first since the handshake: bytes_received counts from there. */
		tp = CAST(segment->sk, tcp_sock);
		old = tp->rcv_nxt - (__u32)tp->bytes_received - cb->seq;
		bpf_map_update_elem(&arrived, &cookie, &end, BPF_ANY);
	}
	if (old <= 0)
		return SK_PASS;
	count(COUNTER_OVERLAPS);
	for (int i = 0; i < SEGMENT_MAX / ADJUST_MAX; i++) {
		__s32 cut = old > ADJUST_MAX ? ADJUST_MAX : old;

		if (old <= 0 || bpf_skb_adjust_room(skb, -cut, 0, 0))
			break;
		old -= cut;
	}
	return SK_PASS;
}

#endif
