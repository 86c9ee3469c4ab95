/**
 * Changes of one endpoint: a pod of another node becomes unready, or ready again, by the save of its file; seen in the
 * kernel when the Service's table has one endpoint less, or more.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { KernelServices } from './kernel-services.ts';
import {
  fileOf,
  namespaceYaml,
  PODS_PER_NAMESPACE,
  PODS_PER_SERVICE,
  SERVICE_PORT,
  serviceAddress,
  type LocalPods,
  type ScaleMesh,
} from './mesh.ts';

const POLL_MS = 0.1;
const LOST_MS = 10_000;
/** Apart, so that no change finds the debounce of the one before. */
const PAUSE_MS = [25, 45] as const;

export class Changes {
  readonly #input: {
    readonly folder: string;
    readonly mesh: ScaleMesh;
    readonly local: LocalPods;
    readonly kernel: KernelServices;
  };
  readonly #unready = new Set<number>();
  readonly #sleeper = new Int32Array(new SharedArrayBuffer(4));
  #next = 0;

  constructor(input: {
    readonly folder: string;
    readonly mesh: ScaleMesh;
    readonly local: LocalPods;
    readonly kernel: KernelServices;
  }) {
    this.#input = input;
  }

  /** One at a time; milliseconds from each save to the kernel. */
  async oneByOne(count: number, signal: AbortSignal): Promise<number[]> {
    const times: number[] = [];
    for (let i = 0; i < count; i++) {
      signal.throwIfAborted();
      const service = this.#save();
      const savedAt = performance.now();
      times.push(this.#await(service, savedAt) - savedAt);
      const [min, max] = PAUSE_MS;
      await sleep(min + ((i * 7) % (max - min)));
    }
    return times;
  }

  /** `perSecond` for so long; resolves with the rate at which they reached the kernel. */
  async stream(seconds: number, perSecond: number, signal: AbortSignal): Promise<number> {
    const start = performance.now();
    const count = Math.round(seconds * perSecond);
    const touched = new Set<number>();
    for (let i = 0; i < count; i++) {
      const wait = start + (i * 1000) / perSecond - performance.now();
      if (wait > 0) await sleep(wait, undefined, { signal });
      touched.add(this.#save());
    }
    let end = start;
    for (const service of touched) end = Math.max(end, this.#await(service, performance.now()));
    return count / ((end - start) / 1000);
  }

  /** Turns the next pod; its Service. */
  #save(): number {
    const { folder, mesh, local } = this.#input;
    const pod = this.#pod();
    if (!this.#unready.delete(pod)) this.#unready.add(pod);
    const namespace = Math.floor(pod / PODS_PER_NAMESPACE);
    const path = join(folder, fileOf(namespace));
    writeFileSync(`${path}.tmp`, namespaceYaml(mesh, namespace, local, this.#unready));
    renameSync(`${path}.tmp`, path);
    return Math.floor(pod / PODS_PER_SERVICE);
  }

  /** Another namespace each time, never a pod of this node. */
  #pod(): number {
    const { mesh, local } = this.#input;
    for (;;) {
      const step = this.#next++;
      const namespace = step % mesh.namespaces;
      const within = (Math.floor(step / mesh.namespaces) * 13 + 5) % PODS_PER_NAMESPACE;
      const pod = namespace * PODS_PER_NAMESPACE + within;
      if (pod < mesh.services * PODS_PER_SERVICE && !local.has(pod)) return pod;
    }
  }

  /** Blocks until the kernel holds what was saved last of the Service; the time it was seen. */
  #await(service: number, since: number): number {
    const first = service * PODS_PER_SERVICE;
    let expected = 0;
    for (let i = 0; i < PODS_PER_SERVICE; i++) if (!this.#unready.has(first + i)) expected++;
    for (;;) {
      const held = this.#input.kernel.endpointsOf(serviceAddress(service), SERVICE_PORT);
      const now = performance.now();
      if (held === expected) return now;
      if (now - since > LOST_MS) {
        throw new Error(`Service ${service} has ${held} endpoints in the kernel, not ${expected}`);
      }
      Atomics.wait(this.#sleeper, 0, 0, POLL_MS);
    }
  }
}
