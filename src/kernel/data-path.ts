/**
 * Loads, attaches and pins the node's programs, and holds their maps. Adopting after a restart leaves no gap: maps are
 * reused, and cgroup links get the new program by BPF_LINK_UPDATE. close() lets go of descriptors only: what is pinned works on.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../log.ts';
import { AbiLimits, ABI_HASH } from './abi/layout.gen.ts';
import { verifyAbi } from './abi/verify.ts';
import type { Binding, BpfLink, BpfMap, BpfObject } from './binding.ts';
import { Generations, type Generation } from './generations.ts';
import { loadMeshObject } from './mesh-object.ts';
import { u32, u64 } from './typed-map.ts';

/** Cgroup programs that decide about new connections: one generation's at a time. */
const NODE_HOOKS = ['podwire_connect4', 'podwire_connect6'] as const;

/** Cgroup programs that also serve the sockets of their generation: every generation that has sockets keeps its own. */
const GENERATION_HOOKS = [
  'podwire_getpeername4',
  'podwire_getpeername6',
  'podwire_getsockname4',
  'podwire_getsockname6',
  'podwire_setsockopt',
  'podwire_sock_release',
  'podwire_sockops',
] as const;

/** Without their entries a generation takes no new connection. */
const ADMITTING_MAPS = ['pods', 'locals'] as const;

/** Maps of maps.bpf.h, which lookup.bpf.o is given by descriptor. */
const SHARED_MAPS = [
  'settings',
  'counters',
  'reasons',
  'records',
  'policies',
  'cidr_rules',
  'probes',
  'listeners',
  'events',
] as const;

export interface DataPathOptions {
  readonly binding: Binding;
  /** folder of mesh.bpf.o and lookup.bpf.o */
  readonly objects: string;
  readonly bpffs: string;
  /** root of the cgroup v2 hierarchy the programs are attached to */
  readonly cgroup: string;
  readonly log: Log;
  /** false: the numbers in the maps mean nothing to this agent, so it starts a generation of its own */
  readonly adopt: boolean;
}

export interface PodProgram {
  readonly netnsCookie: bigint;
  readonly netnsPath: string;
  readonly id: number;
  readonly identity: number;
  readonly flags: number;
  readonly workers: number;
}

export class DataPath {
  readonly generations: Generations;
  readonly generation: Generation;
  readonly adopted: boolean;
  readonly #options: DataPathOptions;
  readonly #object: BpfObject;
  readonly #maps = new Map<string, BpfMap>();
  readonly #links: BpfLink[] = [];
  readonly #podLinks = new Map<bigint, BpfLink>();
  readonly #conns: BpfLink;
  readonly #adopt: BpfLink;
  readonly #keepalive: BpfLink;
  readonly #abi: string;
  /** pins this agent made, not adopted */
  readonly #made: string[] = [];
  #serving = false;

  constructor(options: DataPathOptions) {
    this.#options = options;
    const { binding, bpffs, objects } = options;
    const objectPath = join(objects, 'mesh.bpf.o');
    verifyAbi(binding.readBtf(objectPath), 'mesh.bpf.o');
    verifyAbi(binding.readBtf(join(objects, 'lookup.bpf.o')), 'lookup.bpf.o');
    this.#abi = ABI_HASH;
    this.generations = new Generations(bpffs);
    this.generations.prepare();
    const { generation, adopted } = this.generations.open(this.#abi, options.adopt);
    this.generation = generation;
    this.adopted = adopted;
    this.#object = loadMeshObject({ binding, objectPath, generation });
    options.log.info(
      {
        generation: generation.number,
        abi: this.#abi,
        adopted,
        version: AbiLimits.ABI_VERSION,
      },
      adopted ? 'adopted the maps of the last agent' : 'started a generation',
    );
    const socks = this.map('socks');
    this.#object.program('podwire_verdict').attachSockmap(socks);
    this.#object.program('podwire_arrived').attachSockmap(socks);
    this.#conns = this.#object.program('podwire_conns').attachIter(this.map('conns'));
    rmSync(generation.conns, { force: true });
    this.#conns.pin(generation.conns);
    this.#adopt = this.#object.program('podwire_adopt').attachIter();
    this.#keepalive = this.#object.program('podwire_keepalive').attachIter();
  }

  /**
   * Once the pods are in the maps and before their namespaces get programs that ask for provenance: from here on connections
   * of this generation's pods have records. An older generation goes on beside it, so that nobody is without.
   */
  serve(): void {
    if (this.#serving) return;
    this.#serving = true;
    for (const name of GENERATION_HOOKS) this.#attachHook(name, this.generation.hooks);
  }

  /** Last step of start-up: new connections are this generation's, and no other's. */
  attach(): void {
    this.serve();
    for (const name of NODE_HOOKS) this.#attachHook(name, this.generations.links);
    for (const older of this.generations.olderThan(this.generation)) this.#retire(older);
  }

  /** Another generation has taken its place: nothing new is admitted in this one. */
  get isRetired(): boolean {
    return ADMITTING_MAPS.every((name) => this.map(name).dump().count === 0);
  }

  map(name: string): BpfMap {
    const known = this.#maps.get(name);
    if (known) return known;
    const map = this.#object.map(name);
    this.#maps.set(name, map);
    return map;
  }

  /** Puts the sk_lookup program into a pod's namespace, or replaces the one that is there. */
  attachPod(pod: PodProgram): void {
    const { binding, objects } = this.#options;
    const object = binding.openObject(join(objects, 'lookup.bpf.o'));
    try {
      object.setRodata('pod_netns', u64.encode(pod.netnsCookie));
      object.setRodata('pod_id', u32.encode(pod.id));
      object.setRodata('pod_identity', u32.encode(pod.identity));
      object.setRodata('pod_flags', u32.encode(pod.flags));
      object.setRodata('pod_workers', u32.encode(pod.workers));
      for (const name of SHARED_MAPS) object.reuseMap(name, this.map(name));
      object.setAutoload('podwire_lookup', true);
      object.load();
      const program = object.program('podwire_lookup');
      const pin = this.#podPin(pod.netnsCookie);
      const held = this.#podLinks.get(pod.netnsCookie);
      if (held) {
        held.update(program);
        return;
      }
      const adopted = this.#updatePinned(pin, (existing) => existing.update(program));
      if (adopted) {
        this.#podLinks.set(pod.netnsCookie, adopted);
        return;
      }
      const link = program.attachNetns(pod.netnsPath);
      link.pin(pin);
      this.#made.push(pin);
      this.#podLinks.set(pod.netnsCookie, link);
    } finally {
      object.close();
    }
  }

  detachPod(netnsCookie: bigint): void {
    rmSync(this.#podPin(netnsCookie), { force: true });
    this.#podLinks.get(netnsCookie)?.close();
    this.#podLinks.delete(netnsCookie);
  }

  /** Namespaces that have a pinned program from this or an earlier agent. */
  attachedPods(): bigint[] {
    return readdirSync(this.generations.pods).map((name) => BigInt(name));
  }

  /** What the connections iterator of this generation prints now: packed struct conn_view. */
  readConns(): Uint8Array {
    return this.#conns.readIter();
  }

  /** Listeners of enrolled pods: packed struct adopted; their owners are written on the way. */
  readAdopted(): Uint8Array {
    return this.#adopt.readIter();
  }

  /** Gives long-lived spliced sockets of a namespace a keepalive, so that conntrack does not forget their idle TCP. */
  armKeepalive(netnsPath: string): void {
    this.#keepalive.readIter(netnsPath);
  }

  close(): void {
    for (const link of [
      ...this.#links,
      ...this.#podLinks.values(),
      this.#conns,
      this.#adopt,
      this.#keepalive,
    ])
      link.close();
    this.#links.length = 0;
    this.#podLinks.clear();
    this.#object.close();
  }

  /** After a start that failed: takes back what it pinned; what an earlier agent left stays in force. */
  abandon(): void {
    this.close();
    for (const pin of this.#made) rmSync(pin, { force: true });
    if (!this.adopted) this.generations.remove(this.generation);
  }

  #attachHook(name: string, folder: string): void {
    const program = this.#object.program(name);
    const pin = join(folder, name);
    const adopted = this.#updatePinned(pin, (existing) => existing.update(program));
    if (adopted) {
      this.#links.push(adopted);
      return;
    }
    const fresh = program.attachCgroup(this.#options.cgroup);
    fresh.pin(pin);
    this.#made.push(pin);
    this.#links.push(fresh);
  }

  /** Its programs go on for the sockets they have; keys are deleted as bytes, because its layout is not ours. */
  #retire(older: Generation): void {
    for (const name of ADMITTING_MAPS) {
      const pin = join(older.maps, name);
      if (!existsSync(pin)) continue; /* that agent died before it had pinned everything */
      const map = this.#options.binding.openPinnedMap(pin);
      const { keys, count } = map.dump();
      map.deleteBatch(keys, count);
      map.close();
    }
  }

  #podPin(netnsCookie: bigint): string {
    return join(this.generations.pods, netnsCookie.toString());
  }

  /** The pinned link after `change`, or undefined (and no pin) when its target is gone. */
  #updatePinned(pin: string, change: (link: BpfLink) => void): BpfLink | undefined {
    if (!existsSync(pin)) return undefined;
    try {
      const link = this.#options.binding.openPinnedLink(pin);
      change(link);
      return link;
    } catch (error) {
      this.#options.log.warn({ pin, err: error }, 'a pinned link is dead: attaching anew');
      rmSync(pin, { force: true });
      return undefined;
    }
  }
}
