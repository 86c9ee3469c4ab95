/** Loads mesh.bpf.o on the maps of a generation: those that are pinned are used again, the others are made and pinned. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PodwireError } from '../errors.ts';
import { Counter, Reason } from './abi/layout.gen.ts';
import type { Binding, BpfObject, NativeError } from './binding.ts';
import { counterRows } from './counters.ts';
import type { Generation } from './generations.ts';
import { u64 } from './typed-map.ts';

export interface MeshObjectOptions {
  readonly binding: Binding;
  readonly objectPath: string;
  readonly generation: Generation;
}

/** The verifier gives up with EAGAIN when a signal waits for the thread (a profiler's, say). */
const TRIES = 5;

/** Throws ERR_BPF_REJECTED with the end of the verifier's log. */
export function loadMeshObject(options: MeshObjectOptions): BpfObject {
  for (let tries = 1; ; tries++) {
    const { object, missing } = open(options);
    try {
      object.load();
    } catch (cause) {
      object.close();
      const error = cause as NativeError;
      if (error.code === 'EAGAIN' && tries < TRIES) continue;
      throw rejected(error);
    }
    for (const name of missing) object.map(name).pin(join(options.generation.maps, name));
    return object;
  }
}

function open({ binding, objectPath, generation }: MeshObjectOptions): {
  object: BpfObject;
  missing: string[];
} {
  const object = binding.openObject(objectPath);
  object.setRodata('node_netns', u64.encode(binding.netnsCookie('/proc/self/ns/net')));
  const cpus = binding.possibleCpus();
  object.setMaxEntries('counters', counterRows(cpus) * Counter.MAX);
  object.setMaxEntries('reasons', counterRows(cpus) * Reason.MAX);
  const missing: string[] = [];
  for (const name of object.mapNames().filter((map) => !map.includes('.'))) {
    const pin = join(generation.maps, name);
    if (!existsSync(pin)) {
      missing.push(name);
      continue;
    }
    const existing = binding.openPinnedMap(pin);
    object.reuseMap(name, existing);
    existing.close();
  }
  return { object, missing };
}

function rejected(error: NativeError): PodwireError {
  const last = error.log.trim().split('\n').slice(-3).join(' | ');
  return new PodwireError('ERR_BPF_REJECTED', `the kernel rejected mesh.bpf.o: ${error.message}`, {
    cause: error,
    hint: `\`podwire doctor\` shows what this kernel has; last lines of the log: ${last}`,
  });
}
