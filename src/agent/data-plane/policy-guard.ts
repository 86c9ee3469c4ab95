/** Who may reach a pod of this node, decided in the thread that accepted the connection. */
import { parseIp } from '../../model/ip.ts';
import type { InboundGuard, ListenerInfo, Verdict } from '../../proxy/tcp-proxy.ts';
import type { Endpoint, Origin } from '../../proxy/transport.ts';
import type { ProxyDenial } from './messages.ts';
import type { PolicyView } from './policy-view.ts';

const REFUSED: Verdict = { allowed: false, policy: undefined, rule: undefined };

export class PolicyGuard implements InboundGuard {
  readonly #policies: PolicyView;
  readonly #tell: (denial: ProxyDenial) => void;

  constructor(options: { policies: PolicyView; tell: (denial: ProxyDenial) => void }) {
    this.#policies = options.policies;
    this.#tell = options.tell;
  }

  verdict({ podUid }: ListenerInfo, { target, sourceIdentity }: Origin, peer: Endpoint): Verdict {
    const sourceAddr = parseIp(peer.address);
    const destAddr = parseIp(target.address);
    const spiffe = sourceIdentity ? this.#policies.identity(sourceIdentity) : undefined;
    /* An identity that this thread has not heard of yet is refused, like one the kernel's table does not know. */
    if (!sourceAddr || !destAddr || (sourceIdentity && spiffe === undefined)) return REFUSED;
    return this.#policies.allows(podUid, {
      sourceIdentity: spiffe,
      sourceAddr,
      destAddr,
      destPort: target.port,
    });
  }

  refused({ podId }: ListenerInfo, origin: Origin, peer: Endpoint, verdict: Verdict): void {
    const { target, sourcePod, sourceIdentity } = origin;
    this.#tell({ ...verdict, podId, peer, target, sourcePod, sourceIdentity, tunnelled: false });
  }
}
