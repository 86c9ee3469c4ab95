// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Self-healing: finds spliced sockets whose reader cannot see the data (splice(2), a thread that slept in recv()
 * before pairing, io_uring) and ends sockets by cookie.  The agent's stall detector and revocation drive it; nothing
 * here runs by itself.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "abi.h"

#define MAX_TARGETS 1024
#define SOL_SOCKET 1
#define SO_RCVLOWAT 18
#define SOL_TCP 6
#define TCP_NOTSENT_LOWAT 25
#define SK_USER_DATA_MASK 7ull

char _license[] SEC("license") = "GPL";

/* System call numbers of this architecture: src/agent/learn/syscall-numbers.ts. */
const volatile __u32 splice_number, read_number, readv_number;
const volatile __u32 recvfrom_number, recvmsg_number, recvmmsg_number;

extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym;
extern int bpf_sock_destroy(struct sock_common *sk) __ksym;
#define CAST(pointer, type) \
	((struct type *)bpf_rdonly_cast((void *)(pointer), bpf_core_type_id_kernel(struct type)))

/* Kernels before the FIONREAD fix of sockmap have no byte count. */
struct sk_psock___counted {
	u32 msg_tot_len;
} __attribute__((preserve_access_index));

/* Given by the agent: mesh.bpf.c's map of established sockets. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct conn);
} conns SEC(".maps");

/* Stalled sockets that are being looked at: address → cookie. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_TARGETS);
	__type(key, __u64);
	__type(value, __u64);
} targets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4 * MAX_TARGETS);
	__type(key, struct watch_key);
	__type(value, struct watch_count);
} watch_counts SEC(".maps");

/* Cookies of the sockets to end, or to poke. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_CONNS);
	__type(key, __u64);
	__type(value, __u8);
} marked SEC(".maps");

/* Sockets of the sockhash with unread bytes in their psock queue and an application that could read them. */
SEC("iter/sockmap")
int stalls(struct bpf_iter__sockmap *ctx)
{
	struct sock *sk = ctx->sk;
	struct stall stall = {};
	struct sk_psock *psock;
	struct sk_msg *message;
	struct conn *conn;
	__u64 head;

	if (!sk || !sk->sk_socket)
		return 0;
	psock = CAST((__u64)sk->sk_user_data & ~SK_USER_DATA_MASK, sk_psock);
	head = (__u64)psock->ingress_msg.next;
	if (!head || head == (__u64)&psock->ingress_msg)
		return 0;
	message = CAST(head - bpf_core_field_offset(struct sk_msg, list), sk_msg);
	stall.sock = (__u64)sk;
	stall.cookie = sk->__sk_common.skc_cookie.counter;
	stall.head = head;
	stall.netns = sk->__sk_common.skc_net.net->net_cookie;
	stall.head_bytes = message->sg.size;
	stall.unread = stall.head_bytes;
	if (bpf_core_field_exists(struct sk_psock___counted, msg_tot_len))
		stall.unread = psock->msg_tot_len;
	conn = bpf_sk_storage_get(&conns, sk, NULL, 0);
	if (conn)
		stall.trust = conn->trust;
	bpf_seq_write(ctx->meta->seq, &stall, sizeof(stall));
	return 0;
}

/* Every descriptor of every process that refers to a target. */
SEC("iter/task_file")
int owners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct sock_owner owner = {};
	struct socket *socket;
	__u64 *cookie, sock;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sock = (__u64)socket->sk;
	cookie = bpf_map_lookup_elem(&targets, &sock);
	if (!cookie)
		return 0;
	owner.sock = sock;
	owner.cookie = *cookie;
	owner.tgid = task->tgid;
	owner.fd = ctx->fd;
	bpf_seq_write(ctx->meta->seq, &owner, sizeof(owner));
	return 0;
}

/* Calls on the descriptors in watch_counts, for a window of some milliseconds.  raw_tp: see observe.bpf.c. */
SEC("raw_tp/sys_enter")
int watch_calls(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 number = ctx->args[1];
	struct watch_key key = { .tgid = bpf_get_current_pid_tgid() >> 32 };
	struct watch_count *count;
	bool read = number == read_number || number == readv_number || number == recvfrom_number ||
		    number == recvmsg_number || number == recvmmsg_number;

	if (!read && number != splice_number)
		return 0;
	key.fd = PT_REGS_PARM1_CORE_SYSCALL(regs);
	count = bpf_map_lookup_elem(&watch_counts, &key);
	if (!count)
		return 0;
	if (read)
		__sync_fetch_and_add(&count->reads, 1);
	else
		__sync_fetch_and_add(&count->splices, 1);
	return 0;
}

static __always_inline bool marked_sock(struct sock_common *sk)
{
	__u64 cookie = sk->skc_cookie.counter;

	return cookie && bpf_map_lookup_elem(&marked, &cookie);
}

/*
 * Wakes edge-triggered pollers of the marked sockets.  A reader that met splice(2)'s EAGAIN waits for the next edge,
 * which may never come: it would look like a slow reader.  Setting TCP_NOTSENT_LOWAT again calls sk_write_space.
 */
SEC("iter/tcp")
int poke(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	struct tcp_sock *tcp;
	int value;

	if (!sk || !marked_sock(sk))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return 0;
	value = tcp->notsent_lowat;
	bpf_setsockopt(tcp, SOL_TCP, TCP_NOTSENT_LOWAT, &value, sizeof(value));
	value = tcp->inet_conn.icsk_inet.sk.sk_rcvlowat;
	bpf_setsockopt(tcp, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
	return 0;
}

/* Runs in one network namespace at a time.  Prints the cookies of the sockets it ended. */
SEC("iter/tcp")
int destroy(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;
	__u64 cookie;

	if (!sk || !marked_sock(sk))
		return 0;
	cookie = sk->skc_cookie.counter;
	if (!bpf_sock_destroy(sk))
		bpf_seq_write(ctx->meta->seq, &cookie, sizeof(cookie));
	return 0;
}
