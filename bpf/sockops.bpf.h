/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Provenance, pairing and the end of connections.
 *
 * TCP_CONNECT_CB runs before the SYN leaves and writes the record: full 4-tuple to source pod, identity, socket.  It is
 * the only source of identity; an address proves nothing.  The client enters the sockhash when its handshake ends
 * (ACTIVE_ESTABLISHED), which on one node is before the server's end exists (PASSIVE_ESTABLISHED): whether both may be
 * spliced is therefore settled at the client, with what is known of the server's listener.
 */
#ifndef PODWIRE_SOCKOPS_BPF_H
#define PODWIRE_SOCKOPS_BPF_H
#include "balance.bpf.h"
#include "events.bpf.h"
#include "trust.bpf.h"

#define TCP_NOTSENT_LOWAT 25
#define TCP_USER_TIMEOUT 18
#define RCV_SHUTDOWN 1
#define CLOSED_READER_TIMEOUT_MS 200
/* a bit of sk_flags; the numbers differ between kernels */
#define SOCK_FLAG(name) (1ul << bpf_core_enum_value(enum sock_flags, name))
#define ENDS_CLIENT 1
#define ENDS_SERVER 2

extern const void woken_wake_function __ksym;

static const struct record zero_record;

static __always_inline int flow_of(struct bpf_sock_ops *ops, struct flow_key *key)
{
	volatile struct bpf_sock_ops *v = ops; /* see connect.bpf.h */

	if (v->family == AF_INET) {
		addr_from4(key->local, v->local_ip4);
		addr_from4(key->remote, v->remote_ip4);
	} else if (v->family == AF_INET6) {
		((__u32 *)key->local)[0] = v->local_ip6[0];
		((__u32 *)key->local)[1] = v->local_ip6[1];
		((__u32 *)key->local)[2] = v->local_ip6[2];
		((__u32 *)key->local)[3] = v->local_ip6[3];
		((__u32 *)key->remote)[0] = v->remote_ip6[0];
		((__u32 *)key->remote)[1] = v->remote_ip6[1];
		((__u32 *)key->remote)[2] = v->remote_ip6[2];
		((__u32 *)key->remote)[3] = v->remote_ip6[3];
	} else {
		return -1;
	}
	key->local_port = v->local_port;
	key->remote_port = bpf_ntohl(v->remote_port);
	key->pad = 0;
	key->netns = addr_is_loopback(key->remote) ? bpf_get_netns_cookie(ops) : 0;
	return 0;
}

/* The task's system call is connect(2).  pt_regs end at the top of its stack (arch/x86/include/asm/processor.h, arm64 the same). */
#define THREAD_BYTES 16384
static __always_inline bool in_connect(struct task_struct *task)
{
	__u64 top = (__u64)task->stack + THREAD_BYTES;
	struct pt_regs *regs = CAST(top - sizeof(struct pt_regs), pt_regs);

#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax == 42;
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno == 203;
#else
	return false;
#endif
}

/*
 * A thread sleeps in a blocking call on this socket; with `connect_ok`, in another one than connect(2).  poll and epoll
 * waiters have other wake functions.  One that already sleeps in tcp_recvmsg() never sees psock data, and recvmsg() of a
 * sockmap socket returns EAGAIN after any wake-up that brought no data (net/ipv4/tcp_bpf.c, tcp_bpf_recvmsg_parser), so
 * nothing here may cause one.  The caller holds the socket's lock, and sleepers enter and leave the list under it.
 */
static __always_inline bool has_sleeper(struct tcp_sock *tp, bool connect_ok)
{
	struct socket_wq *wq = tp->inet_conn.icsk_inet.sk.sk_wq;
	struct list_head *entry;
	__u64 head;

	if (!wq)
		return false;
	head = (__u64)&wq->wait.head;
	entry = wq->wait.head.next;
	for (int i = 0; i < 4; i++) {
		struct wait_queue_entry *waiter;

		if (!entry || (__u64)entry == head)
			return false;
		waiter = CAST((__u64)entry - bpf_core_field_offset(struct wait_queue_entry, entry),
			      wait_queue_entry);
		if ((__u64)waiter->func == (__u64)&woken_wake_function &&
		    !(connect_ok && in_connect(CAST(waiter->private, task_struct))))
			return true;
		entry = CAST(entry, list_head)->next;
	}
	return true; /* too many to tell */
}

/* The executable uses blocking reads in a way that meets such wake-ups: the agent denies it. */
static __always_inline void note_blocking_duplex(const struct conn *conn)
{
	struct trust *t = bpf_map_lookup_elem(&trust, &conn->trust);

	if (t && !t->reason)
		t->reason = BEHAVIOUR_BLOCKING_DUPLEX + 1;
}

/* Options set before the handshake ended; later ones meet the cgroup/setsockopt hook. */
static __always_inline bool unspliceable_options(struct tcp_sock *tp)
{
	struct sock *sk = &tp->inet_conn.icsk_inet.sk;

	return sk->sk_rcvlowat > 1 || sk->sk_tsflags ||
	       sk->__sk_common.skc_flags & (SOCK_FLAG(SOCK_RCVTSTAMP) | SOCK_FLAG(SOCK_ZEROCOPY)) ||
	       tp->recvmsg_inq || tp->repair || tp->inet_conn.icsk_ulp_ops || sk->sk_peek_off >= 0;
}

/* What the programs want to hear of an established socket; RTT samples come only while TCP carries bytes. */
static __always_inline void listen_to(struct bpf_sock_ops *ops, bool spliced)
{
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG |
					       (spliced ? BPF_SOCK_OPS_RTT_CB_FLAG : 0));
}

/*
 * TCP_NOTSENT_LOWAT makes a writer that overran the cap sleep early, which pays for bulk (1.6 x); a flood of small messages
 * needs the whole send buffer to coalesce (0.3 x against 0.8 x of plain).  The verdict cannot set options, so both wait
 * for the next RTT sample, and there are such samples only while TCP carries bytes.
 */
static __always_inline void on_rtt(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	struct tcp_sock *tp;
	struct config *cfg;
	__u32 flags;
	bool want;
	int value;

	if (!conn)
		return;
	flags = conn->flags;
	want = !(flags & (CONN_FLOOD | CONN_PLAIN));
	if (want == !!(flags & CONN_LOWAT) || !conn->tcp_messages)
		return;
	cfg = config_get();
	tp = bpf_skc_to_tcp_sock(sk);
	if (!cfg || !tp ||
	    has_sleeper(tp, false)) /* the option wakes sleepers: wait for the next sample */
		return;
	value = want ? cfg->notsent_lowat : 0; /* 0: the system's default, unlimited */
	if (!bpf_setsockopt(ops, SOL_TCP, TCP_NOTSENT_LOWAT, &value, sizeof(value)))
		conn->flags ^= CONN_LOWAT;
}

static __always_inline void record_take(const struct pod *pod)
{
	__u32 id = pod->id;
	struct pod_usage *usage = bpf_map_lookup_elem(&pod_usage, &id);

	if (usage)
		__sync_fetch_and_add(&usage->records, 1);
}

static __always_inline void record_drop(const struct flow_key *key, __u32 pod)
{
	struct pod_usage *usage;

	if (bpf_map_delete_elem(&records, key) || !pod)
		return;
	usage = bpf_map_lookup_elem(&pod_usage, &pod);
	if (usage)
		__sync_fetch_and_sub(&usage->records, 1);
}

static __always_inline void on_connect(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	__u64 netns = bpf_get_netns_cookie(ops);
	struct pod *pod = pod_of(netns);
	struct agent_sock *agent;
	struct intent *intent;
	struct config *cfg;
	struct record *rec;
	struct local *local;
	struct flow_key key;
	struct pod_usage *usage;
	__u32 id;
	long err;

	if ((!pod && netns != node_netns) || flow_of(ops, &key))
		return;
	local = bpf_map_lookup_elem(&locals, key.remote);
	barrier_var(
		local); /* or clang tests both pointers with one OR, which the verifier refuses */
	if (!pod && !local)
		return; /* the node talks to somebody else */
	bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (pod) {
		count(COUNTER_CONNECTS);
		if (intent && intent->backend && !(intent->flags & INTENT_COUNTED)) {
			intent->flags |= INTENT_COUNTED;
			balance_opened(intent->backend);
		}
		if (!local && !key.netns)
			return; /* leaves the node: no end here would ask for a record */
		id = pod->id;
		usage = bpf_map_lookup_elem(&pod_usage, &id);
		if (usage && usage->records >= pod->record_quota) {
			count_reason(REASON_RECORD_QUOTA);
			return;
		}
	}
	err = bpf_map_update_elem(&records, &key, &zero_record, BPF_NOEXIST);
	if (err) { /* the 4-tuple is used again before its server noticed, or the map is full */
		rec = bpf_map_lookup_elem(&records, &key);
		if (rec)
			record_drop(&key, rec->charged);
		err = bpf_map_update_elem(&records, &key, &zero_record, BPF_ANY);
	}
	rec = err ? NULL : bpf_map_lookup_elem(&records, &key);
	if (!rec) {
		count(COUNTER_RECORD_FAILED);
		count_reason(REASON_MAP_FULL);
		return;
	}
	count(COUNTER_RECORDS);
	cfg = config_get();
	rec->version = ABI_VERSION;
	rec->netns = netns;
	rec->cookie = bpf_get_socket_cookie(ops);
	rec->tgid = bpf_get_current_pid_tgid() >> 32;
	rec->epoch = cfg ? cfg->epoch : 0;
	rec->turn = bpf_get_prandom_u32() % TURN_SLOTS;
	rec->born_ns = bpf_ktime_get_ns();
	if (!pod) {
		rec->flags = RECORD_NODE;
		return;
	}
	record_take(pod);
	rec->charged = pod->id;
	rec->flags = RECORD_POD;
	rec->pod = pod->id;
	rec->identity = pod->identity;
	agent = bpf_sk_storage_get(&agent_socks, sk, NULL, 0);
	if (agent) {
		rec->flags |= RECORD_AGENT;
		if (agent->flags & AGENT_SOCK_ON_BEHALF) {
			rec->pod = agent->pod;
			rec->identity = agent->identity;
		}
		if (agent->flags & AGENT_SOCK_TUNNELLED)
			rec->flags |= RECORD_TUNNELLED;
		addr_copy(rec->client, agent->client);
		rec->client_port = agent->client_port;
		if (agent->flags &
		    AGENT_SOCK_TUNNELLED) /* one port for all of a tunnel's streams says nothing */
			rec->client_port = key.local_port;
	} else {
		trust_of_current(pod, &rec->client_trust);
	}
	if (intent && intent->dialled_port) {
		addr_copy(rec->dialled, intent->dialled);
		addr_copy(rec->target, intent->target);
		rec->dialled_port = intent->dialled_port;
		rec->target_port = intent->target_port;
		rec->service = intent->service;
		rec->backend = intent->backend;
		if (intent->flags & INTENT_CAPTURED)
			rec->flags |= RECORD_CAPTURED;
		if (intent->flags & INTENT_TUNNELLED)
			rec->flags |= RECORD_TUNNELLED;
	} else {
		addr_copy(rec->dialled, key.remote);
		addr_copy(rec->target, key.remote);
		rec->dialled_port = rec->target_port = key.remote_port;
	}
}

/* Who reads the sockets accepted from this listener, as far as can be known now. */
static __always_inline void listener_owned(struct conn *conn, const struct trust_key *owner)
{
	__builtin_memset(conn, 0, sizeof(*conn)); /* it may have been connected before */
	conn->trust = *owner;
}

static __always_inline void on_listen(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct listening_key key = { .netns = bpf_get_netns_cookie(ops), .port = ops->local_port };
	struct pod *pod = pod_of(key.netns);
	struct trust_key current = {};
	struct conn *conn;

	if (!pod || bpf_sk_storage_get(&agent_socks, sk, NULL, 0) ||
	    !trust_of_current(pod, &current))
		return;
	conn = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (conn)
		listener_owned(conn, &current);
	bpf_map_update_elem(&listening, &key, &current, BPF_ANY);
}

/*
 * A socket in the sockhash carries floods of small messages at 0.7 to 0.8 x plain, whatever its leg: the next connection
 * of this client to this port stays out of it.
 */
static __always_inline void flood_remember(const struct conn *conn, const struct trust_key *client,
					   __u32 port)
{
	struct flood_key key = { .client = *client, .pod = conn->destination_pod, .port = port };
	__u64 until = bpf_ktime_get_ns() + FLOOD_MEMORY_S * 1000000000ull;

	if (conn->flood_bytes <= FLOOD_BYTES || conn->flood_bytes <= conn->redirected_bytes)
		return;
	bpf_map_update_elem(&floods, &key, &until, BPF_ANY);
	floods_met = 1;
}

static __always_inline bool flood_expected(const struct trust_key *client, __u32 pod, __u32 port)
{
	struct flood_key key = { .client = *client, .pod = pod, .port = port };
	__u64 *until;

	if (!floods_met)
		return false;
	until = bpf_map_lookup_elem(&floods, &key);
	return until && *until > bpf_ktime_get_ns();
}

/* An older socket of this 4-tuple may be closed for TCP and still hold unread bytes: replacing it would lose them. */
static __always_inline long sockhash_enter(struct bpf_sock_ops *ops, struct flow_key *key)
{
	return bpf_sock_hash_update(ops, &socks, key, BPF_NOEXIST);
}

/* The sequence numbers from here on are counted by podwire_arrived() alone. */
static __always_inline bool has_received(struct tcp_sock *tp)
{
	return tp->rcv_nxt != tp->copied_seq || tp->bytes_received;
}

/* srtt_us of struct tcp_sock is eight times the smoothed round trip. */
static __always_inline void measure(struct tcp_sock *tp, __u32 backend)
{
	__u64 latency_ns = tp->srtt_us * 1000ull / 8;

	if (latency_ns)
		balance_sample(backend, latency_ns);
}

/* A backend that answers with RST is quick, and the wrong one to prefer. */
static __always_inline void measure_closed(struct bpf_sock *sk, __u32 backend, bool established)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return;
	if (established)
		measure(tp, backend);
	else if (tp->inet_conn.icsk_inet.sk.sk_err)
		balance_sample(backend, LATENCY_PENALTY_MS * NSEC_PER_MSEC);
}

/* What the server's end will say, as far as the client can know it. */
static __always_inline __u32 server_reason(const struct flow_key *key, const struct record *rec,
					   const struct local *local)
{
	struct listening_key listener = { .netns = local ? local->netns : key->netns,
					  .port = key->remote_port };
	struct trust_key *owner;
	struct pod *pod = pod_of(listener.netns);

	if (!pod)
		return REASON_PEER_NOT_LOCAL;
	if (rec->flags & RECORD_CAPTURED)
		return REASON_NONE; /* the agent itself reads */
	if (pod->flags & POD_CAPTURE_PROXY && !key->netns && rec->netns != pod->netns)
		return REASON_NONE; /* the agent, at the server's side */
	owner = bpf_map_lookup_elem(&listening, &listener);
	if (!owner) {
		struct trust_key none = {};

		return trust_reason(pod, key->remote_port, &none, false);
	}
	return trust_reason(pod, key->remote_port, owner, false);
}

static __always_inline __u32 client_reason(struct tcp_sock *tp, struct pod *pod,
					   const struct flow_key *key, const struct record *rec,
					   const struct local *local)
{
	struct config *cfg = config_get();
	__u32 reason;

	if (!rec)
		return REASON_PEER_NOT_LOCAL;
	if (!cfg || !cfg->splice)
		return REASON_SPLICE_OFF;
	if (key->local_port == key->remote_port && addr_equal(key->local, key->remote))
		return REASON_SELF_CONNECT;
	if (has_received(tp) || tp->snd_una != tp->write_seq || tp->data_segs_out)
		return REASON_EARLY_DATA;
	if (unspliceable_options(tp))
		return REASON_SOCKET_OPTION;
	if (!(rec->flags & RECORD_AGENT)) {
		reason = trust_reason(pod, 0, &rec->client_trust, true);
		if (reason)
			return reason;
	}
	reason = server_reason(key, rec, local);
	if (reason)
		return reason;
	if (flood_expected(&rec->client_trust, local ? local->pod : pod->id, key->remote_port))
		return REASON_FLOOD;
	return has_sleeper(tp, true) ? REASON_WAITER : REASON_NONE;
}

static __always_inline void on_active(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	__u64 netns = bpf_get_netns_cookie(ops);
	struct pod *pod = pod_of(netns);
	struct tcp_sock *tp;
	struct intent *intent;
	struct record *rec;
	struct local *local;
	struct flow_key key;
	struct conn *conn;
	__u64 cookie;

	if (!pod || flow_of(ops, &key))
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	conn = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		count_reason(REASON_MAP_FULL);
		return;
	}
	if (conn->cookie || conn->trust.inode) /* the socket was connected, or listened, before */
		__builtin_memset(conn, 0, sizeof(*conn));
	cookie = bpf_get_socket_cookie(ops);
	local = bpf_map_lookup_elem(&locals, key.remote);
	rec = bpf_map_lookup_elem(&records, &key);
	if (rec && rec->cookie != cookie)
		rec = NULL;
	if (rec && rec->flags & RECORD_CAPTURED)
		local = bpf_map_lookup_elem(&locals, rec->target);
	flow_flip(&key, &conn->peer);
	conn->cookie = cookie;
	conn->netns = netns;
	conn->flags = CONN_CLIENT;
	conn->born_ns = rec ? rec->born_ns : bpf_ktime_get_ns();
	conn->source_pod = rec ? rec->pod : pod->id;
	conn->source_identity = rec ? rec->identity : pod->identity;
	if (local) {
		conn->destination_pod = local->pod;
		conn->destination_identity = local->identity;
	} else if (key.netns && !(rec && rec->flags & RECORD_CAPTURED)) {
		conn->destination_pod = pod->id;
		conn->destination_identity = pod->identity;
	}
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (intent && intent->dialled_port) {
		addr_copy(conn->dialled, intent->dialled);
		conn->dialled_port = intent->dialled_port;
		conn->service = intent->service;
		if (intent->flags & INTENT_MEASURED)
			measure(tp, intent->backend);
	} else {
		addr_copy(conn->dialled, key.remote);
		conn->dialled_port = key.remote_port;
	}
	if (rec) {
		conn->trust = rec->client_trust;
		conn->turn = rec->turn;
		conn->epoch = rec->epoch;
		if (rec->flags & RECORD_AGENT)
			conn->flags |= CONN_AGENT;
		if (rec->flags & RECORD_TUNNELLED)
			conn->flags |= CONN_TUNNELLED;
		rec->client_sock = (__u64)tp;
		rec->destination_pod = conn->destination_pod;
		rec->destination_identity = conn->destination_identity;
		__sync_fetch_and_or(&rec->ends, ENDS_CLIENT);
	} else if (bpf_sk_storage_get(&agent_socks, sk, NULL, 0)) {
		conn->flags |= CONN_AGENT; /* of what leaves the node there is no record */
	}
	conn->reason = client_reason(tp, pod, &key, rec, key.netns ? NULL : local);
	if (!conn->reason) {
		conn->flags |= CONN_IN_SOCKHASH;
		rec->pair = PAIR_CLIENT_IN;
		if (sockhash_enter(ops, &key)) {
			conn->flags &= ~CONN_IN_SOCKHASH;
			conn->reason = REASON_INSERT_FAILED;
		}
	}
	if (conn->reason) {
		conn->flags |= CONN_PLAIN;
		if (rec) {
			rec->reason = conn->reason;
			rec->pair = PAIR_PLAIN;
		}
	}
	listen_to(ops, !conn->reason);
}

static __always_inline __u32 passive_reason(struct tcp_sock *tp, struct pod *pod,
					    const struct flow_key *key, const struct record *rec,
					    const struct trust_key *owner, bool agent)
{
	struct local *local;

	if (!rec)
		return REASON_PEER_NOT_LOCAL;
	if (rec->pair == PAIR_PLAIN)
		return rec->reason;
	if (rec->pair != PAIR_CLIENT_IN)
		return rec->flags & RECORD_POD ? REASON_EARLY_DATA : REASON_PEER_NOT_LOCAL;
	if (!key->netns) {
		local = bpf_map_lookup_elem(&locals, key->local);
		if (!local || local->netns != pod->netns)
			return REASON_NETNS_MISMATCH;
	}
	if (has_received(tp))
		return REASON_EARLY_DATA;
	if (unspliceable_options(tp))
		return REASON_SOCKET_OPTION;
	if (agent)
		return REASON_NONE;
	return trust_reason(pod, key->local_port, owner, false);
}

/*
 * Whether a pod's client really ended this handshake.  Its own callback has marked the record before its ACK left, so at
 * the server the mark is always there, except for fast open, whose server begins at the SYN.  Without it somebody who
 * answers for the client's address on the wire (ARP) has taken the connection over: the record proves nothing any more.
 */
static __always_inline bool client_answered(const struct record *rec, struct tcp_sock *tp)
{
	return !(rec->flags & RECORD_POD) || rec->ends & ENDS_CLIENT || tp->fastopen_rsk;
}

static __always_inline void on_passive(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	__u64 netns = bpf_get_netns_cookie(ops);
	struct pod *pod = pod_of(netns);
	struct flow_key key;
	struct agent_sock *agent;
	struct peer_view *view;
	struct tcp_sock *tp;
	struct record *rec;
	struct config *cfg;
	struct conn *conn;

	if (!pod || flow_of(ops, &key))
		return;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return;
	conn = bpf_sk_storage_get(&conns, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!conn) {
		count_reason(REASON_MAP_FULL);
		return;
	}
	flow_flip(&key, &conn->peer);
	rec = bpf_map_lookup_elem(&records, &conn->peer);
	if (rec && !client_answered(rec, tp)) {
		record_drop(&conn->peer, rec->charged);
		rec = NULL;
	}
	agent = bpf_sk_storage_get(&agent_socks, sk, NULL, 0);
	cfg = config_get();
	conn->cookie = bpf_get_socket_cookie(ops);
	conn->netns = netns;
	conn->born_ns = bpf_ktime_get_ns();
	conn->destination_pod = pod->id;
	conn->destination_identity = pod->identity;
	conn->epoch = cfg ? cfg->epoch : 0;
	addr_copy(conn->dialled, key.local);
	conn->dialled_port = key.local_port;
	if (agent)
		conn->flags |= CONN_AGENT;
	if (rec) {
		if (agent)
			rec->flags |= RECORD_PROXIED;
		if (rec->flags & RECORD_TUNNELLED)
			conn->flags |= CONN_TUNNELLED;
		conn->source_pod = rec->pod;
		conn->source_identity = rec->identity;
		conn->born_ns = rec->born_ns;
		conn->epoch = rec->epoch;
		conn->turn = rec->turn;
		conn->service = rec->service;
		conn->peer_cookie = rec->cookie;
		addr_copy(conn->dialled, rec->dialled);
		conn->dialled_port = rec->dialled_port;
		rec->server_sock = (__u64)tp;
		rec->server_cookie = conn->cookie;
		__sync_fetch_and_or(&rec->ends, ENDS_SERVER);
		if (rec->flags & RECORD_AGENT && rec->client_port) {
			view = bpf_sk_storage_get(&peer_views, sk, NULL,
						  BPF_SK_STORAGE_GET_F_CREATE);
			if (view) {
				/* outbound legs say the port only: the address is the pod's own already */
				if (addr_is_zero(rec->client))
					addr_copy(view->addr, key.remote);
				else
					addr_copy(view->addr, rec->client);
				view->port = rec->client_port;
			}
		}
	}
	conn->reason = passive_reason(tp, pod, &key, rec, &conn->trust, agent != NULL);
	if (!conn->reason && rec) {
		conn->peer_sock = rec->client_sock;
		conn->flags |= CONN_IN_SOCKHASH;
		if (sockhash_enter(ops, &key)) {
			conn->flags &= ~CONN_IN_SOCKHASH;
			conn->reason = REASON_INSERT_FAILED;
		} else if (__sync_val_compare_and_swap(&rec->pair, PAIR_CLIENT_IN, PAIR_PAIRED) ==
			   PAIR_CLIENT_IN) {
			conn->flags |= CONN_PAIRED;
			count(COUNTER_SPLICED);
		}
	}
	if (conn->reason) {
		conn->flags |= CONN_PLAIN;
		count_reason(conn->reason);
		if (rec) {
			/* The client may be in the sockhash alone: harmless there (it passes), and never taken out alive. */
			rec->reason = conn->reason;
			rec->pair = PAIR_PLAIN;
		}
	}
	listen_to(ops, !conn->reason);
}

/* Bytes sent and received through TCP, without the sequence numbers of SYN and FIN. */
static __always_inline void tcp_bytes(struct tcp_sock *tp, bool client, __u32 old_state,
				      __u64 *sent, __u64 *received)
{
	bool fin_sent = old_state == BPF_TCP_FIN_WAIT1 || old_state == BPF_TCP_FIN_WAIT2 ||
			old_state == BPF_TCP_CLOSING || old_state == BPF_TCP_LAST_ACK ||
			old_state == BPF_TCP_TIME_WAIT;

	*sent = tp->bytes_acked;
	if (client && *sent)
		*sent -= 1;
	if (fin_sent && tp->snd_una == tp->write_seq && *sent)
		*sent -= 1;
	*received = tp->bytes_received;
	if (*received && tp->inet_conn.icsk_inet.sk.__sk_common.skc_flags & SOCK_FLAG(SOCK_DONE))
		*received -= 1;
}

static __always_inline void lease_return(struct conn *conn)
{
	__u32 zero = 0,
	      reader = conn->flags & CONN_CLIENT ? conn->destination_pod : conn->source_pod;
	struct pod_usage *usage;

	if (__sync_val_compare_and_swap(&conn->lease, 1, 0) != 1)
		return;
	usage = bpf_map_lookup_elem(&pod_usage, &reader);
	if (usage)
		__sync_fetch_and_sub(&usage->leases, 1);
	usage = bpf_map_lookup_elem(&node_usage, &zero);
	if (usage)
		__sync_fetch_and_sub(&usage->leases, 1);
}

static __always_inline void event_closed(const struct flow_key *client, const struct conn *conn,
					 const struct record *rec, __u64 client_sent,
					 __u64 server_sent, __u64 redirected, __u32 ends)
{
	struct flow_event *e;

	/* Of the agent's own: what carries tunnels, and second legs that leave the node. */
	if (conn->flags & CONN_AGENT &&
	    (client->remote_port == PORT_HBONE || (!rec && conn->flags & CONN_CLIENT)))
		return;
	e = event_reserve(EVENT_CLOSE);
	if (!e)
		return;
	e->reason = conn->reason;
	e->key = *client;
	e->born_ns = conn->born_ns;
	e->ended_ns = bpf_ktime_get_ns();
	e->cookie = conn->flags & CONN_CLIENT ? conn->cookie : conn->peer_cookie;
	e->server_cookie = conn->flags & CONN_CLIENT ? 0 : conn->cookie;
	e->client_sent = client_sent;
	e->server_sent = server_sent;
	e->redirected_bytes = redirected;
	e->path = conn->flags & CONN_AGENT  ? PATH_PROXIED :
		  conn->flags & CONN_PAIRED ? PATH_SPLICED :
					      PATH_PLAIN;
	e->source_identity = conn->source_identity;
	e->destination_identity = conn->destination_identity;
	e->source_pod = conn->source_pod;
	e->destination_pod = conn->destination_pod;
	e->service = conn->service;
	e->policy = conn->policy;
	addr_copy(e->dialled, conn->dialled);
	e->dialled_port = conn->dialled_port;
	e->ends = ends;
	if (rec) {
		e->cookie = rec->cookie;
		e->server_cookie = rec->server_cookie;
		e->flags = rec->flags;
		addr_copy(e->client, rec->client);
		e->client_port = rec->client_port;
		e->destination_pod = rec->destination_pod;
		e->destination_identity = rec->destination_identity;
		if (rec->flags &
		    RECORD_CAPTURED) { /* not the agent's listener: where the application's bytes went */
			addr_copy(e->key.remote, rec->target);
			e->key.remote_port = rec->target_port;
			e->key.netns = 0;
		}
		if ((rec->flags & (RECORD_AGENT | RECORD_TUNNELLED)) ==
		    (RECORD_AGENT |
		     RECORD_TUNNELLED)) { /* the client's end is another node's to tell */
			addr_copy(e->key.local, rec->client);
			e->key.local_port = rec->client_port;
			e->flags &= ~RECORD_AGENT;
			e->ends = ENDS_SERVER;
		}
		if (rec->flags & RECORD_TUNNELLED)
			e->path = PATH_HBONE;
		else if (rec->flags & (RECORD_CAPTURED | RECORD_PROXIED))
			e->path = PATH_PROXIED;
		else if (rec->pair == PAIR_PAIRED)
			e->path = PATH_SPLICED;
		else if (rec->reason)
			e->reason = rec->reason;
	}
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

/* An end of an established connection: fold its counters; the last end reports and removes the record. */
static __always_inline void end_closed(struct tcp_sock *tp, struct conn *conn,
				       const struct flow_key *key, __u32 old_state)
{
	bool client = conn->flags & CONN_CLIENT;
	__u32 mine = client ? ENDS_CLIENT : ENDS_SERVER, was;
	__u64 sent, received;
	struct flow_key client_key;
	struct record *rec;

	tcp_bytes(tp, client, old_state, &sent, &received);
	sent += conn->redirected_bytes;
	if (!(conn->flags & CONN_IN_SOCKHASH) && received)
		trust_quiet(&conn->trust);
	lease_return(conn);
	if (conn->flags & CONN_IN_SOCKHASH && tp->bytes_received)
		bpf_map_delete_elem(&arrived, &conn->cookie);
	if (client)
		client_key = *key;
	else
		client_key = conn->peer;
	rec = bpf_map_lookup_elem(&records, &client_key);
	if (!rec || (client ? rec->cookie : rec->server_cookie) != conn->cookie) {
		/* The other end is not ours, or its record was taken over by a new connection of the same 4-tuple. */
		event_closed(&client_key, conn, NULL, client ? sent : received,
			     client ? received : sent, conn->redirected_bytes, mine);
		return;
	}
	if (conn->flood_bytes)
		flood_remember(conn, &rec->client_trust, client_key.remote_port);
	if (client) {
		rec->client_sent = sent;
		rec->client_received = received;
		rec->client_redirected = conn->redirected_bytes;
	} else {
		rec->server_sent = sent;
		rec->server_received = received;
		rec->server_redirected = conn->redirected_bytes;
	}
	was = __sync_fetch_and_and(&rec->ends, ~mine);
	if (was != mine)
		return;
	if (!rec->client_sock) { /* the node's own: only the server's end says where it went */
		rec->destination_pod = conn->destination_pod;
		rec->destination_identity = conn->destination_identity;
	}
	if (!rec->server_cookie) { /* only the client was ours */
		rec->server_sent = rec->client_received;
	} else if (!rec->client_sock) {
		rec->client_sent = rec->server_received;
	}
	event_closed(&client_key, conn, rec, rec->client_sent, rec->server_sent,
		     rec->client_redirected + rec->server_redirected,
		     (rec->client_sock ? ENDS_CLIENT : 0) | (rec->server_cookie ? ENDS_SERVER : 0));
	record_drop(&client_key, rec->charged);
}

static __always_inline void on_close(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	__u64 cookie = bpf_get_socket_cookie(ops);
	struct intent *intent;
	struct flow_key key;
	struct tcp_sock *tp;
	struct record *rec;
	struct conn *conn;

	if (flow_of(ops, &key))
		return;
	intent = bpf_sk_storage_get(&intents, sk, NULL, 0);
	if (intent && intent->flags & INTENT_COUNTED) {
		intent->flags &= ~INTENT_COUNTED;
		balance_closed(intent->backend);
		limit_return(intent);
		if (intent->flags & INTENT_MEASURED)
			measure_closed(sk, intent->backend, ops->args[0] != BPF_TCP_SYN_SENT);
	}
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	tp = bpf_skc_to_tcp_sock(sk);
	if (conn && tp && conn->cookie == cookie && conn->born_ns) {
		end_closed(tp, conn, &key, ops->args[0]);
		conn->born_ns = 0;
		return;
	}
	/* Refused, timed out or reset before it was established; or a socket of the node. */
	rec = bpf_map_lookup_elem(&records, &key);
	if (rec && rec->cookie == cookie)
		record_drop(&key, rec->charged);
}

/*
 * The other end closed.  A plain reader that closes with unread bytes sends RST; here its bytes lie in the psock queue, so
 * the kernel sends FIN with the window still shut, and a writer that waits for room would probe a TIME_WAIT socket for
 * minutes.  A short TCP_USER_TIMEOUT ends it with ETIMEDOUT instead.  Only when nobody will read there again: after
 * shutdown(SHUT_WR) alone the reader goes on.
 */
static __always_inline void on_peer_closed(struct bpf_sock_ops *ops, struct bpf_sock *sk)
{
	struct conn *conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	int timeout_ms = CLOSED_READER_TIMEOUT_MS;
	struct tcp_sock *peer;

	if (!conn || !(conn->flags & CONN_IN_SOCKHASH) || !conn->peer_sock)
		return;
	peer = CAST(conn->peer_sock, tcp_sock);
	if (peer->inet_conn.icsk_inet.sk.__sk_common.skc_cookie.counter == conn->peer_cookie &&
	    !(peer->inet_conn.icsk_inet.sk.sk_shutdown & RCV_SHUTDOWN))
		return;
	bpf_setsockopt(ops, SOL_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

#define SEND_SHUTDOWN 2
#define O_NONBLOCK 04000
/*
 * shutdown(SHUT_WR) on a blocking socket: the acknowledgement of our FIN is a wake-up without data for the read that follows.
 */
static __always_inline void on_closing(struct bpf_sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct socket *socket;
	struct conn *conn;

	if (!tp || tp->inet_conn.icsk_inet.sk.sk_shutdown != SEND_SHUTDOWN)
		return;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (!conn || conn->flags & CONN_AGENT)
		return;
	socket = tp->inet_conn.icsk_inet.sk.sk_socket;
	if (socket && socket->file && !(socket->file->f_flags & O_NONBLOCK))
		note_blocking_duplex(conn);
}

SEC("sockops")
int podwire_sockops(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;

	if (!sk)
		return 1;
	switch (ops->op) {
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		on_connect(ops, sk);
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		on_listen(ops, sk);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		on_active(ops, sk);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
		on_passive(ops, sk);
		break;
	case BPF_SOCK_OPS_RTT_CB:
		on_rtt(ops, sk);
		break;
	case BPF_SOCK_OPS_STATE_CB:
		if (ops->args[1] == BPF_TCP_CLOSE)
			on_close(ops, sk);
		else if (ops->args[1] == BPF_TCP_CLOSE_WAIT)
			on_peer_closed(ops, sk);
		else if (ops->args[1] == BPF_TCP_FIN_WAIT1)
			on_closing(sk);
		break;
	}
	return 1;
}

#endif
