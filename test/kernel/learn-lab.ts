/**
 * The mesh's sockops and sockhash on the cgroup of a test mesh, without an agent: every connection between its pods is
 * spliced or not as `detect` says.  For tests of learning and self-healing on the real programs.
 */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { pino } from 'pino';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import { Config, Counter, IpKey, Local, Pod as PodEntry } from '../../src/kernel/abi/layout.gen.ts';
import { loadBinding } from '../../src/kernel/binding.ts';
import type { Binding, BpfMap, BpfObject } from '../../src/kernel/binding.ts';
import { TypedMap, u32, u64 } from '../../src/kernel/typed-map.ts';
import type { LearnPod } from '../../src/agent/learn/learn-pod.ts';
import { createMesh } from '../support/netns.ts';
import type { Mesh, Pod } from '../support/netns.ts';
import { repositoryRoot } from '../support/repository.ts';

export const SILENT = pino({ level: 'silent' });
const WORKLOAD = 3;

export interface Lab {
  readonly binding: Binding;
  readonly mesh: Mesh;
  readonly client: Pod;
  readonly server: Pod;
  readonly pods: readonly LearnPod[];
  objectPath(name: string): string;
  map(name: string): BpfMap;
  /** packed struct adopted: who listens in the pods */
  readAdopted(): Uint8Array;
  /** messages of spliced sockets, whichever way they went */
  activity(): bigint;
  spliced(): bigint;
}

/** `detect`: false splices every executable from its first connection. */
export function openLab(context: TestContext, options: { detect: boolean }): Lab {
  const binding = loadBinding();
  const mesh = createMesh(context, { pods: [{ name: 'client' }, { name: 'server' }] });
  const objectPath = (name: string): string =>
    join(repositoryRoot(), 'bpf', '.output', `${name}.bpf.o`);
  const object = loadMesh(binding, objectPath('mesh'));
  mesh.defer(() => object.close());
  const map = (name: string): BpfMap => object.map(name);
  configure(map('settings'), options.detect);
  const pods = mesh.pods.map((pod, index) => enrol(binding, map, pod, index + 1));
  const socks = map('socks');
  object.program('podwire_verdict').attachSockmap(socks);
  object.program('podwire_arrived').attachSockmap(socks);
  const link = object.program('podwire_sockops').attachCgroup(mesh.cgroup);
  const adopt = object.program('podwire_adopt').attachIter();
  mesh.defer(() => {
    link.close();
    adopt.close();
  });
  const counter = (...wanted: number[]): bigint => {
    const { values, count } = map('counters').dump();
    let sum = 0n;
    for (let index = 0; index < count; index++) {
      if (wanted.includes(index % Counter.MAX)) sum += u64.decode(values, index * u64.size);
    }
    return sum;
  };
  return {
    binding,
    mesh,
    client: mesh.pod('client'),
    server: mesh.pod('server'),
    pods,
    objectPath,
    map,
    readAdopted: () => adopt.readIter(),
    activity: () => counter(Counter.REDIRECT_MESSAGES, Counter.TCP_MESSAGES),
    spliced: () => counter(Counter.SPLICED),
  };
}

function loadMesh(binding: Binding, path: string): BpfObject {
  const object = binding.openObject(path);
  try {
    object.setRodata('node_netns', u64.encode(binding.netnsCookie('/proc/self/ns/net')));
    object.setMaxEntries('counters', binding.possibleCpus() * Counter.MAX);
    object.load();
    return object;
  } catch (error) {
    object.close();
    throw error;
  }
}

function configure(settings: BpfMap, detect: boolean): void {
  new TypedMap('settings', settings, u32, Config).set(0, {
    ...Config.decode(new Uint8Array(Config.size)),
    splice: 1,
    capBytes: 1 << 20,
    resumeBytes: 512 << 10,
    freeBytes: 1 << 20,
    nodeLeases: 1_000,
    podLeases: 1_000,
    notsentLowat: 16_384,
    detect: detect ? 1 : 0,
  });
}

function enrol(binding: Binding, map: (name: string) => BpfMap, pod: Pod, id: number): LearnPod {
  const netns = binding.netnsCookie(pod.netnsPath);
  new TypedMap('pods', map('pods'), u64, PodEntry).set(netns, {
    ...PodEntry.decode(new Uint8Array(PodEntry.size)),
    id,
    identity: id,
    workload: WORKLOAD,
    recordQuota: 1_000,
    netns,
    addr4: addrFromText(pod.v4),
    addr6: addrFromText(pod.v6),
  });
  const locals = new TypedMap('locals', map('locals'), IpKey, Local);
  for (const address of [pod.v4, pod.v6]) {
    locals.set({ addr: addrFromText(address) }, { netns, pod: id, identity: id });
  }
  return {
    netns,
    netnsPath: pod.netnsPath,
    workload: WORKLOAD,
    workloadText: 'test/learn',
    learn: true,
  };
}

/** Waits until `probe` answers something else than undefined or false. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | false,
  timeoutMs = 10_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
