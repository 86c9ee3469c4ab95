// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Never loaded.  Anchors every shared type into BTF for src/kernel/abi/generate.ts: a struct that only a ring buffer
 * carries would otherwise be missing there. */
#include <linux/types.h>
#include "abi.h"

#define ABI_STRUCT(name) const struct name *name##__abi __attribute__((section(".abi"), used))
#define ABI_ENUM(name) const enum name *name##__abi __attribute__((section(".abi"), used))

ABI_ENUM(abi_limits);
ABI_ENUM(reason);
ABI_ENUM(counter);
ABI_ENUM(pod_flags);
ABI_ENUM(splice_mode);
ABI_ENUM(record_flags);
ABI_ENUM(pair_state);
ABI_ENUM(conn_flags);
ABI_ENUM(flow_path);
ABI_ENUM(verdict);
ABI_ENUM(policy_identity);
ABI_ENUM(isolation);
ABI_ENUM(lb_policy);
ABI_ENUM(trust_state);
ABI_ENUM(trust_flags);
ABI_ENUM(trust_reason);
ABI_ENUM(behaviour);
ABI_ENUM(listener_role);
ABI_ENUM(agent_port);
ABI_ENUM(event_type);
ABI_ENUM(intent_flags);
ABI_ENUM(agent_sock_flags);
ABI_ENUM(tunnel_flags);
ABI_STRUCT(flow_key);
ABI_STRUCT(ip_key);
ABI_STRUCT(pod);
ABI_STRUCT(local);
ABI_STRUCT(pod_usage);
ABI_STRUCT(port_key);
ABI_STRUCT(listener_key);
ABI_STRUCT(service_key);
ABI_STRUCT(service);
ABI_STRUCT(slot_key);
ABI_STRUCT(backend);
ABI_STRUCT(member_key);
ABI_STRUCT(backend_load);
ABI_STRUCT(affinity_key);
ABI_STRUCT(affinity);
ABI_STRUCT(policy_key);
ABI_STRUCT(policy_verdict);
ABI_STRUCT(cidr_key);
ABI_STRUCT(pair_key);
ABI_STRUCT(trust_key);
ABI_STRUCT(trust);
ABI_STRUCT(observed_key);
ABI_STRUCT(live_conn);
ABI_STRUCT(behaviours);
ABI_STRUCT(listening_key);
ABI_STRUCT(flood_key);
ABI_STRUCT(record);
ABI_STRUCT(intent);
ABI_STRUCT(agent_sock);
ABI_STRUCT(tunnel);
ABI_STRUCT(peer_view);
ABI_STRUCT(conn);
ABI_STRUCT(conn_view);
ABI_STRUCT(flow_event);
ABI_STRUCT(trust_event);
ABI_STRUCT(stall);
ABI_STRUCT(adopted);
ABI_STRUCT(sock_owner);
ABI_STRUCT(watch_key);
ABI_STRUCT(watch_count);
ABI_STRUCT(met_key);
ABI_STRUCT(met_budget);
ABI_STRUCT(config);
