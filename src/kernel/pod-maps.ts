/** What the kernel's maps say of the node's pods: pods by namespace, their addresses, and the splice modes of their ports. */
import type { PodEntry } from '../compile/kernel/pods.ts';
import type { SpliceMode } from '../model/enrolment.ts';
import { ipFamily } from '../model/ip.ts';
import { addrFromText, ZERO_ADDR } from './abi/address.ts';
import {
  IpKey,
  Local,
  Pod,
  PodFlags,
  PortKey,
  SpliceMode as SpliceModeNumber,
} from './abi/layout.gen.ts';
import type { BpfMap } from './binding.ts';
import { TypedMap, u32, u64 } from './typed-map.ts';

/** Provenance records one pod may hold: connections being set up or alive on this node. */
const RECORD_QUOTA = 32_768;

const MODES = {
  default: SpliceModeNumber.DEFAULT,
  always: SpliceModeNumber.ALWAYS,
  never: SpliceModeNumber.NEVER,
  observe: SpliceModeNumber.OBSERVE,
} as const satisfies Record<SpliceMode, number>;

const SPLICE_FLAGS = {
  default: 0,
  always: PodFlags.SPLICE_ALWAYS,
  never: PodFlags.SPLICE_NEVER,
  observe: PodFlags.SPLICE_OBSERVE,
} as const satisfies Record<SpliceMode, number>;

/** `served`: the agent's listeners are in their slots. */
export function podFlags(entry: PodEntry, served: boolean): number {
  return (
    SPLICE_FLAGS[entry.splice] |
    (entry.portModes.size > 0 ? PodFlags.PORT_MODES : 0) |
    /* nothing of a TCP pass-through needs the agent: without one, connections go straight */
    (entry.captureProxy && served ? PodFlags.CAPTURE_PROXY | PodFlags.FALLBACK_DIRECT : 0) |
    (entry.tunnel && served ? PodFlags.TUNNEL : 0) |
    (entry.tunnelOnly ? PodFlags.TUNNEL_ONLY : 0)
  );
}

export class PodMaps {
  readonly #pods: TypedMap<bigint, Pod>;
  readonly #locals: TypedMap<IpKey, Local>;
  readonly #portModes: TypedMap<PortKey, number>;
  readonly #probes: TypedMap<PortKey, number>;

  constructor(map: (name: string) => BpfMap) {
    this.#pods = new TypedMap('pods', map('pods'), u64, Pod);
    this.#locals = new TypedMap('locals', map('locals'), IpKey, Local);
    this.#portModes = new TypedMap('port_modes', map('port_modes'), PortKey, u32);
    this.#probes = new TypedMap('probes', map('probes'), PortKey, u32);
  }

  has(cookie: bigint): boolean {
    return this.#pods.get(cookie) !== undefined;
  }

  cookies(): bigint[] {
    return this.#pods.entries().map(([cookie]) => cookie);
  }

  write(
    entry: PodEntry,
    pod: { cookie: bigint; id: number; flags: number; workers: number },
  ): void {
    this.#pods.set(pod.cookie, {
      id: pod.id,
      identity: entry.identity,
      flags: pod.flags,
      workload: entry.workload,
      workers: pod.workers,
      recordQuota: RECORD_QUOTA,
      netns: pod.cookie,
      addr4: addressOf(entry, 4),
      addr6: addressOf(entry, 6),
    });
  }

  delete(cookie: bigint): void {
    this.#pods.delete(cookie);
  }

  writeLocal(addr: string, local: Local): void {
    this.#locals.set({ addr: addrFromText(addr) }, local);
  }

  deleteLocal(addr: string): void {
    this.#locals.delete({ addr: addrFromText(addr) });
  }

  /** Removes every address but these. */
  keepLocals(addrs: Iterable<string>): void {
    const known = new Set([...addrs].map((addr) => hex(addrFromText(addr))));
    for (const [key] of this.#locals.entries()) {
      if (!known.has(hex(key.addr))) this.#locals.delete(key);
    }
  }

  writePortMode(pod: number, port: number, mode: SpliceMode): void {
    this.#portModes.set({ pod, port }, MODES[mode]);
  }

  /** `before`: those it had */
  writeProbes(pod: number, ports: readonly number[], before: readonly number[]): void {
    for (const port of ports) if (!before.includes(port)) this.#probes.set({ pod, port }, 1);
    for (const port of before) if (!ports.includes(port)) this.#probes.delete({ pod, port });
  }

  /** Removes the probe ports of every pod but these: what an earlier agent left. */
  keepProbes(pods: ReadonlyMap<number, readonly number[]>): void {
    for (const [key] of this.#probes.entries()) {
      if (!pods.get(key.pod)?.includes(key.port)) this.#probes.delete(key);
    }
  }

  deletePortMode(pod: number, port: number): void {
    this.#portModes.delete({ pod, port });
  }
}

function addressOf(entry: PodEntry, family: 4 | 6): Uint8Array {
  const addr = entry.addrs.find((ip) => ipFamily(ip) === family);
  return addr === undefined ? ZERO_ADDR : addrFromText(addr);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
