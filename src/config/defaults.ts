/**
 * Paths and addresses that the agent and the verbs that talk to it must agree on.
 */
export const DEFAULT_BPFFS = '/sys/fs/bpf';
export const DEFAULT_STATE_DIR = '/var/lib/podwire';
export const DEFAULT_CONTROL_STATE_DIR = '/var/lib/podwire-control';
export const DEFAULT_ADMIN_SOCKET = '/run/podwire/admin.sock';
export const DEFAULT_METRICS = '127.0.0.1:15020';
export const DEFAULT_CLUSTER_ID = 'Kubernetes';
export const DEFAULT_CONTROL_ADMIN_SOCKET = '/run/podwire/control.sock';
export const DEFAULT_CONTROL_METRICS = '127.0.0.1:15014';
/** istiod's port: ztunnel and Istio's agents look for it there */
export const DEFAULT_CONTROL_LISTEN = '0.0.0.0:15012';
/** istiod's too: what runs in Istio's pods mounts it */
export const DEFAULT_ROOT_CONFIGMAP = 'istio-ca-root-cert';
export const DEFAULT_WEBHOOK_CONFIGURATION = 'podwire-control';
export const DEFAULT_AGENT_ACCOUNT = 'podwire-system/podwire';
