/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The only structs, enums and limits shared between the BPF programs and user space.
 *
 * src/kernel/abi/generate.ts reads them from the BTF of abi.bpf.o and writes layout.gen.ts; at load the BTF of
 * every object is compared with it.  Rules: explicit padding, no bitfields, addresses are 16 bytes in network order
 * with IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), ports are host order, times are CLOCK_MONOTONIC nanoseconds.
 * Any change of a struct that lives in a map or a socket storage raises ABI_VERSION: the next agent then starts a new
 * generation instead of adopting the maps.  struct conn_view and struct flow_event only ever grow at the end.
 */
#ifndef PODWIRE_ABI_H
#define PODWIRE_ABI_H

#ifndef PODWIRE_ABI_VERSION
#define PODWIRE_ABI_VERSION 3
#endif

enum abi_limits {
	ABI_VERSION = PODWIRE_ABI_VERSION,
	MAX_PODS = 1024, /* enrolled pods of one node (kubelet's default is 110) */
	MAX_LISTENERS = 8192,
	MAX_RECORDS = 262144,
	MAX_CONNS = 262144, /* sockets in the sockhash */
	MAX_SERVICES = 65536, /* VIP and port */
	MAX_BACKENDS = 262144,
	MAX_LB_SLOTS = 1048576,
	MAX_AFFINITY =
		32768, /* (client pod, Service port) pairs of one node that session affinity remembers */
	MAX_CIDR_RULES = 65536,
	MAX_TUNNELS = 524288, /* addresses reached over HBONE */
	MAX_TRUST = 8192,
	MAX_LISTENING = 16384, /* listening ports of enrolled pods */
	MAX_FLOODS = 8192,
	EVENT_RING_BYTES = 4194304,
	FLOOD_BYTES = 8388608, /* a connection that sent more than this in floods is one */
	FLOOD_MEMORY_S = 600, /* how long that is remembered */
	TURN_SLOTS = 65536,
	FULL_SCAN_BACKENDS =
		8, /* least connections looks at all slots up to here, then at two random ones */
	LATENCY_HALF_LIFE_MS = 7000, /* of what is known of a backend's latency */
	LATENCY_PENALTY_MS =
		1000, /* of a backend that refused or timed out, or is busy and was never measured */
};

/* Reasons: why a connection was denied or not spliced.  Names are stable: logs, metrics and `explain` print them. */
enum reason {
	REASON_NONE,
	/* denied */
	REASON_POLICY, /* an Authorization denies it, or none allows it */
	REASON_IDENTITY_UNKNOWN, /* the pod has policy and the source's number is not in it */
	REASON_NO_ENDPOINT, /* the Service has no ready endpoint */
	REASON_AGENT_PORT, /* 15001, 15006 or 15008 dialled directly */
	REASON_NO_RECORD, /* reached a listener of the agent without a provenance record */
	REASON_NO_AGENT, /* needs the agent and its listener is gone */
	REASON_REVOKED, /* live connection that policy no longer allows */
	REASON_STALLED_READER, /* reset: its reader cannot see spliced bytes */
	REASON_CONNECTION_LIMIT, /* the Service's maxConnections are open from this node */
	REASON_RECORD_QUOTA, /* the pod's quota of provenance records is used up */
	REASON_MAP_FULL,
	/* not spliced */
	REASON_PEER_NOT_LOCAL, /* the other end is not an enrolled pod of this node */
	REASON_OLDER_THAN_AGENT,
	REASON_EARLY_DATA, /* data came before the handshake ended (fast open) */
	REASON_WAITER, /* a thread already sleeps in recv() */
	REASON_SOCKET_OPTION, /* SO_RCVLOWAT, SO_ZEROCOPY, TCP_INQ, timestamps, TCP_ULP, TCP_REPAIR */
	REASON_LEARNING_CLIENT, /* the client's executable is still being observed */
	REASON_LEARNING_SERVER,
	REASON_DENIED_CLIENT, /* the client's executable is on the deny list */
	REASON_DENIED_SERVER,
	REASON_ANNOTATION, /* podwire.io/splice: never (or observe) */
	REASON_SELF_CONNECT,
	REASON_INSERT_FAILED, /* the kernel refused the socket (MPTCP, a ULP) */
	REASON_SPLICE_OFF, /* switched off: self-test, --splice=off */
	REASON_NETNS_MISMATCH, /* the server's namespace is not the destination pod's */
	REASON_UNKNOWN_READER, /* who reads the server's socket is not known */
	REASON_FLOOD, /* floods of small messages, which TCP carries faster, were met here before */
	REASON_MAX,
};

enum counter {
	COUNTER_CONNECTS, /* TCP_CONNECT_CB in an enrolled pod */
	COUNTER_RECORDS,
	COUNTER_RECORD_FAILED,
	COUNTER_SPLICED, /* connections paired */
	COUNTER_REDIRECT_MESSAGES,
	COUNTER_REDIRECT_BYTES,
	COUNTER_TCP_MESSAGES, /* messages of sockhash sockets that went through TCP */
	COUNTER_TCP_BYTES,
	COUNTER_LEG_INFLIGHT, /* stayed on TCP: bytes still on the way */
	COUNTER_LEG_FULL, /* left for TCP: queue above the cap */
	COUNTER_LEG_OWNED, /* left for TCP: the reader holds the peer's lock */
	COUNTER_LEG_FLOOD, /* left for TCP: one-way flood of small messages */
	COUNTER_LEG_BUDGET, /* left for TCP: pod or node budget used up */
	COUNTER_LEG_MEMORY, /* left for TCP: the reader's memory control group or TCP itself is short */
	COUNTER_REDIRECT_FAILED,
	COUNTER_OVERLAPS, /* segments that began before what had arrived: cut */
	COUNTER_EVENTS_LOST,
	COUNTER_LB_PICKS,
	COUNTER_CAPTURED_OUT, /* handed to 15001 */
	COUNTER_CAPTURED_IN, /* handed to 15006 */
	COUNTER_TUNNELLED_OUT, /* handed to 15001, to go over HBONE */
	COUNTER_TUNNELLED_IN, /* HBONE connections handed to 15008 */
	COUNTER_MAX,
};

enum pod_flags {
	POD_CAPTURE_PROXY = 1, /* outbound and inbound TCP goes through the agent */
	POD_FALLBACK_DIRECT =
		2, /* proxy capture may be skipped when the agent is gone (nothing needs it) */
	POD_SPLICE_ALWAYS = 4,
	POD_SPLICE_NEVER = 8,
	POD_SPLICE_OBSERVE = 16, /* observe for ever, never splice */
	POD_PORT_MODES = 32, /* some ports have a mode of their own: look in port_modes */
	POD_TUNNEL = 64, /* speaks HBONE: to what is in tunnels, and at 15008 */
	POD_TUNNEL_ONLY =
		128, /* provenance of this node is no identity: pods of this node use HBONE too */
};

enum splice_mode {
	SPLICE_MODE_DEFAULT,
	SPLICE_MODE_ALWAYS,
	SPLICE_MODE_NEVER,
	SPLICE_MODE_OBSERVE,
};

enum record_flags {
	RECORD_POD = 1, /* the source is an enrolled pod */
	RECORD_NODE = 2, /* the node's own network namespace */
	RECORD_AGENT = 4, /* a socket of the agent; client_* is whom it speaks for */
	RECORD_CAPTURED = 8, /* connect4/6 sent it to the agent's listener */
	RECORD_PROXIED = 16, /* the agent accepted it */
	RECORD_TUNNELLED = 32, /* its bytes go, or came, over HBONE */
};

enum pair_state {
	PAIR_NONE,
	PAIR_CLIENT_IN, /* the client is in the sockhash */
	PAIR_PAIRED,
	PAIR_PLAIN, /* never spliced; the reason is in the record */
};

enum conn_flags {
	CONN_CLIENT = 1,
	CONN_IN_SOCKHASH = 2,
	CONN_PLAIN = 4, /* never redirect again */
	CONN_FLOOD = 8,
	CONN_REVOKED = 16,
	CONN_AGENT = 32, /* a socket of the agent */
	CONN_PAIRED = 64,
	CONN_LOWAT = 128, /* TCP_NOTSENT_LOWAT is set */
	CONN_TUNNELLED = 256, /* its bytes go, or came, over HBONE */
};

enum flow_path {
	PATH_PLAIN,
	PATH_SPLICED,
	PATH_PROXIED,
	PATH_HBONE,
};

enum verdict {
	VERDICT_NONE,
	VERDICT_ALLOW,
	VERDICT_DENY,
	VERDICT_CIDR, /* depends on the source address: look in cidr_rules */
};

enum lb_policy {
	LB_ROUND_ROBIN,
	LB_RANDOM,
	LB_LEAST_CONN,
	LB_LEAST_LATENCY,
};

enum trust_state {
	TRUST_OBSERVING,
	TRUST_TRUSTED,
	TRUST_DENIED,
};

enum trust_flags {
	TRUST_INTERPRETER = 1, /* runs many programs: the key carries a hash of the arguments too */
	TRUST_READ = 2, /* the agent has looked at the file: it needs no further process of it */
};

/* Why an executable was denied by something else than a behaviour: values of trust.reason above BEHAVIOUR_MAX. */
enum trust_reason {
	TRUST_REASON_DENY_LIST = 64, /* known by its name */
	TRUST_REASON_IMPORTS_SPLICE,
	TRUST_REASON_STALLED_READER, /* a connection of it was reset */
};

enum behaviour {
	BEHAVIOUR_SPLICE_OUT,
	BEHAVIOUR_TEE_VMSPLICE,
	BEHAVIOUR_WAITALL,
	BEHAVIOUR_TRUNC,
	BEHAVIOUR_OOB,
	BEHAVIOUR_IO_URING,
	BEHAVIOUR_SOCKET_OPTION,
	BEHAVIOUR_BLOCKING_DUPLEX, /* shutdown(SHUT_WR), or bulk from another thread, around a blocking read */
	BEHAVIOUR_MAX,
};

enum listener_role {
	LISTENER_OUTBOUND, /* 15001 */
	LISTENER_INBOUND, /* 15006 */
	LISTENER_HBONE, /* 15008 */
	LISTENER_ROLES,
};

enum agent_port {
	PORT_OUTBOUND = 15001,
	PORT_INBOUND = 15006,
	PORT_HBONE = 15008,
};

enum event_type {
	EVENT_CLOSE = 1, /* struct flow_event: a connection ended */
	EVENT_DENIED, /* struct flow_event: a connection was refused */
	EVENT_TRUST, /* struct trust_event: an executable was met that the agent has not looked at yet */
};

/* A socket's own view of its 4-tuple.  netns is 0 unless the remote address is loopback. */
struct flow_key {
	__u8 local[16];
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 pad;
	__u64 netns;
};

struct ip_key {
	__u8 addr[16];
};

/* pods: by netns cookie */
struct pod {
	__u32 id; /* 1.. ; slot of this node, reused only after the pod's connections are gone */
	__u32 identity; /* number of the identity table */
	__u32 flags; /* enum pod_flags */
	__u32 workload; /* number of (workload template, images): part of the trust key */
	__u32 workers; /* data-plane workers with listener slots */
	__u32 record_quota;
	__u64 netns;
	__u8 addr4[16]; /* shown by getsockname on captured sockets; zero: none */
	__u8 addr6[16];
};

/* locals: by pod address */
struct local {
	__u64 netns;
	__u32 pod;
	__u32 identity;
};

/* pod_usage: by pod id, written by the kernel only */
struct pod_usage {
	__u32 records;
	__u32 leases;
};

/* port_modes: podwire.io/splice per port */
struct port_key {
	__u32 pod;
	__u32 port;
};

struct listener_key {
	__u32 pod;
	__u8 role; /* enum listener_role */
	__u8 family; /* 4 or 6 */
	__u16 worker;
};

/* services: VIP and port (host order), TCP only */
struct service_key {
	__u8 addr[16];
	__u16 port;
	__u16 pad;
};

struct service {
	__u32 id;
	__u32 generation; /* of its slots: a new table is written beside the old one, then this value is replaced */
	__u32 slots; /* 0: no ready endpoint */
	__u32 policy; /* enum lb_policy */
	__u32 cursor_slot; /* index in lb_cursors */
	__u32 affinity_s; /* session affinity by client pod: idle time after which it is forgotten, 0: none */
	__u32 max_connections; /* open from this node, 0: any number */
	__u32 limit; /* key of lb_limits, 0: none */
};

/* lb_slots: weights are expanded into slots by user space */
struct slot_key {
	__u32 service;
	__u32 generation;
	__u32 slot;
};

struct backend {
	__u8 addr[16];
	__u16 port;
	__u16 pad;
	__u32 id; /* key of lb_loads */
};

/* lb_members: the backends of a table by their id, for Services with session affinity only */
struct member_key {
	__u32 service;
	__u32 generation;
	__u32 backend;
};

/* lb_loads: what the kernel knows of a backend; the entry is made by user space */
struct backend_load {
	__u64 active; /* connections it has now */
	__u64 sampled_ns; /* when latency_ns was last written, 0: never */
	__u64 latency_ns; /* of the round trip: jumps to peaks, comes down slowly */
};

/* lb_affinity: which backend a pod's connections to a Service port go to */
struct affinity_key {
	__u64 netns; /* of the client */
	__u32 service;
	__u32 pad;
};

struct affinity {
	__u64 used_ns; /* last connect */
	__u32 backend;
	__u32 pad;
};

/* inner map of policies: (source identity, port) → policy_verdict; port 0 is "any other port", identity 0 "no identity" */
struct policy_key {
	__u32 identity;
	__u32 port;
};

struct policy_verdict {
	__u32 verdict; /* enum verdict */
	__u32 policy; /* number of the policy that decided, 0: default */
	__u32 cidr_table; /* VERDICT_CIDR: table of cidr_rules */
	__u32 pad;
};

/* cidr_rules: LPM trie; the fixed part is the table, then the address */
struct cidr_key {
	__u32 prefixlen; /* 32 + bits of the 128-bit address */
	__u32 table;
	__u8 addr[16];
};

/* trust: who may read spliced bytes */
struct trust_key {
	__u64 inode;
	__u32 device;
	__u32 workload;
	__u64 argv; /* hash of the arguments for interpreters, else 0 */
};

struct trust {
	__u32 state; /* enum trust_state */
	__u32 reason; /* enum behaviour + 1 when denied by observation, else enum trust_reason */
	__u32 flags; /* enum trust_flags */
	__u32 connections; /* plain connections seen while observing */
	__u32 quiet; /* of those, closed after having received data */
	__u32 tgid; /* of the last process met while observing */
	__u64 first_ns;
};

/* seen: an executable in a namespace; user space knows the namespace's workload */
struct observed_key {
	__u64 inode;
	__u64 netns;
	__u64 argv; /* always the hash: only keys of interpreters are compared with it */
	__u32 device;
	__u32 pad;
};

/* quiet: a live connection on plain TCP that has received data */
struct live_conn {
	struct trust_key trust;
	__u64 cookie;
	__u64 received;
};

/* seen: behaviours met by the observer */
struct behaviours {
	__u64 count[BEHAVIOUR_MAX];
	__u32 tgid;
	__u32 pad;
};

/* listening: what the client's end must know of the server before it enters the sockhash */
struct listening_key {
	__u64 netns;
	__u32 port;
	__u32 pad;
};

/* floods: client executable and server port whose last connection was a flood of small messages; value: until when (ns) */
struct flood_key {
	struct trust_key client;
	__u32 pod; /* of the server */
	__u32 port;
};

/* records: provenance of a connection and the state of its pair, by the client's flow_key */
struct record {
	__u32 version; /* ABI_VERSION */
	__u32 flags; /* enum record_flags */
	__u64 netns; /* source namespace */
	__u64 cookie; /* client socket */
	__u32 pod; /* source pod, 0: none */
	__u32 identity; /* source identity, 0: none */
	__u32 epoch; /* of the policy at connect */
	__u32 tgid;
	__u64 born_ns;
	struct trust_key client_trust;
	__u8 dialled[16]; /* what the application asked for */
	__u8 target[16]; /* after load balancing */
	__u8 client[16]; /* RECORD_AGENT: the real client */
	__u16 dialled_port;
	__u16 target_port;
	__u16 client_port;
	__u16 pad;
	__u32 service;
	__u32 backend;
	__u32 pair; /* enum pair_state */
	__u32 reason; /* enum reason: why not spliced */
	__u32 ends; /* ends that still live: 1 client, 2 server */
	__u32 turn; /* slot of turns */
	__u32 charged; /* pod whose quota holds this record, 0: none */
	__u32 destination_pod;
	__u32 destination_identity;
	__u32 pad2;
	__u64 client_sock; /* struct tcp_sock * */
	__u64 server_sock;
	__u64 server_cookie;
	__u64 client_sent; /* folded when the end closes */
	__u64 client_received;
	__u64 server_sent;
	__u64 server_received;
	__u64 client_redirected; /* bytes */
	__u64 server_redirected;
};

/* intents: what connect4/6 decided for a socket, until its SYN leaves */
struct intent {
	__u8 dialled[16];
	__u8 target[16];
	__u16 dialled_port;
	__u16 target_port;
	__u32 service;
	__u32 backend;
	__u32 limit; /* INTENT_LIMITED: key of lb_limits */
	__u32 flags; /* INTENT_* */
};

enum intent_flags {
	INTENT_CAPTURED = 1,
	INTENT_COUNTED = 2, /* the backend's active count was raised */
	INTENT_LIMITED = 4, /* one of the Service's connections is taken */
	INTENT_MEASURED = 8, /* the round trip is a sample of the backend's latency */
	INTENT_TUNNELLED = 16, /* captured, to go over HBONE */
};

/* agent_socks: set by the agent by fd before connect or listen */
struct agent_sock {
	__u32 flags; /* AGENT_SOCK_* */
	__u32 identity; /* whom it speaks for */
	__u8 client[16]; /* shown by getpeername at the server; all zero: the socket's own address */
	__u16 client_port;
	__u16 pad;
	__u32 pod;
};

enum agent_sock_flags {
	AGENT_SOCK_LISTENER = 1,
	AGENT_SOCK_UPSTREAM = 2,
	AGENT_SOCK_ON_BEHALF = 4, /* identity, pod and client are another's */
	AGENT_SOCK_TUNNELLED = 8, /* on behalf of a client whose certificate was verified */
};

/* tunnels, by address: what is not reached by plain TCP */
struct tunnel {
	__u32 flags; /* TUNNEL_* */
};

enum tunnel_flags {
	TUNNEL_WORKLOAD = 1, /* this workload: HBONE, after a backend was chosen */
	TUNNEL_WAYPOINT =
		2, /* a Service or workload behind a waypoint: the agent chooses, nothing is balanced here */
};

/* peer_views: what getpeername says at the server */
struct peer_view {
	__u8 addr[16];
	__u16 port;
	__u16 pad;
};

/* conns: per established socket of an enrolled pod; of a listener only `trust` */
struct conn {
	struct flow_key peer; /* key of the other end */
	__u64 peer_sock;
	__u64 peer_cookie;
	__u64 cookie;
	__u64 netns;
	__u64 born_ns;
	struct trust_key trust; /* of the process that reads this socket */
	__u32 flags; /* enum conn_flags */
	__u32 leg; /* 0 TCP, 1 redirect */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_pod;
	__u32 destination_pod;
	__u32 reason;
	__u32 service;
	__u32 turn;
	__u32 run; /* messages in a row in this direction */
	__u32 messages; /* redirected since the mark: with mark_messages an upper bound of the unread ones */
	__u32 mark_messages; /* redirected before the mark and perhaps unread */
	__u64 mark; /* redirected_bytes when mark_messages was taken */
	__u64 flood_bytes;
	__u64 redirected_bytes;
	__u64 redirected_messages;
	__u64 tcp_messages; /* verdicts that left bytes to TCP; a flood takes one for many messages */
	__u8 dialled[16];
	__u16 dialled_port;
	__u16 pad;
	__u32 epoch;
	__u32 lease; /* 1: holds a lease of its reader's pod and of the node */
	__u32 policy; /* number of the policy that allowed it */
};

/* What iterators print for one socket: version first, grows at the end only. */
struct conn_view {
	__u32 version;
	__u32 size;
	struct flow_key key;
	__u64 cookie;
	__u64 netns;
	__u64 peer_cookie;
	__u64 born_ns;
	__u64 sent;
	__u64 received;
	__u64 redirected_bytes;
	__u64 redirected_messages;
	__u64 tcp_messages;
	__u32 flags;
	__u32 state; /* TCP state */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_pod;
	__u32 destination_pod;
	__u32 reason;
	__u32 service;
	struct trust_key trust;
	__u8 dialled[16];
	__u16 dialled_port;
	__u16 client_port; /* of a server behind the agent: whom the agent speaks for */
	__u32 srtt_us;
	__u8 client[16];
};

struct flow_event {
	__u32 type; /* enum event_type */
	__u32 reason; /* denied or not spliced */
	struct flow_key key; /* the client's view */
	__u64 born_ns;
	__u64 ended_ns;
	__u64 cookie; /* of the client, or of the server where the client is not ours */
	__u64 server_cookie;
	__u64 client_sent;
	__u64 server_sent;
	__u64 redirected_bytes; /* both directions */
	__u32 flags; /* enum record_flags */
	__u32 path; /* enum flow_path */
	__u32 source_identity;
	__u32 destination_identity;
	__u32 source_pod;
	__u32 destination_pod;
	__u32 service;
	__u32 policy;
	__u8 dialled[16];
	__u16 dialled_port;
	__u16 client_port; /* RECORD_AGENT: whom the agent spoke for */
	__u32 ends; /* ends seen by us: 1 client, 2 server, 3 both */
	__u8 client[16];
};

struct trust_event {
	__u32 type;
	__u32 pad;
	struct trust_key key;
	__u32 tgid;
	__u32 pod;
};

/* stalls: one unread psock queue */
struct stall {
	__u64 sock;
	__u64 cookie;
	__u64 head;
	__u64 netns;
	__u32 unread;
	__u32 head_bytes;
	struct trust_key trust; /* of the reader as the kernel knows it, zero: unknown */
};

/* listeners found at enrolment, older than the agent */
struct adopted {
	struct trust_key key;
	__u64 netns;
	__u32 tgid;
	__u32 port;
};

struct sock_owner {
	__u64 sock;
	__u64 cookie;
	__u32 tgid;
	__u32 fd;
};

/* stall_watch: system calls on one descriptor of one process */
struct watch_key {
	__u32 tgid;
	__u32 fd;
};

struct watch_count {
	__u64 splices;
	__u64 reads;
};

/* settings: one value, knobs that change at run time */
struct config {
	__u32 epoch; /* raised with every policy change */
	__u32 splice; /* 0: nothing new is spliced and nothing is redirected */
	__u32 cap_bytes; /* unread bytes (1,280 added per message) in the peer's queue above which TCP is used */
	__u32 resume_bytes;
	__u32 free_bytes; /* below this a connection needs no lease */
	__u32 node_leases; /* leases (of cap_bytes each) the node gives */
	__u32 pod_leases;
	__u32 owned_tcp_bytes; /* messages this long use TCP while the reader holds the lock; 0: never */
	__u32 flood_run; /* small messages in a row without an answer that make a flood */
	__u32 flood_min_bytes; /* smaller messages gain by redirection even then */
	__u32 flood_bytes; /* a message up to this size is small */
	__u32 pad;
	__u32 notsent_lowat;
	__u32 flood_stride; /* bytes of a flood that one verdict lets pass */
	__u32 keepalive_s; /* what podwire_keepalive gives to long-lived spliced sockets; 0: nothing */
	__u32 detect; /* 1: observation decides (default); 0: everything is trusted (tests only) */
};

#endif
