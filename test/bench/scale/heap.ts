/**
 * A program of its own: how many bytes of heap a store takes per workload, when it is filled from messages as they come
 * over the wire.  Arguments: number of pods.  Run with --expose-gc; prints one number.
 */
import { MeshTranslator } from '../../../src/control/translate/mesh.ts';
import { translateOptions } from '../../../src/control/translate/options.ts';
import { parseText, splitDocuments } from '../../../src/control/sources/file/documents.ts';
import { validateDocument } from '../../../src/control/validate/document.ts';
import type { Address } from '../../../src/model/messages.ts';
import { DEFAULT_TRUST_DOMAIN } from '../../../src/model/workload.ts';
import { SnapshotStore } from '../../../src/store/snapshot-store.ts';
import { createCodec } from '../../../src/xds/codec.ts';
import { decodeAddress, encodeAddress } from '../../../src/xds/resources/address.ts';
import { namespaceYaml, scaleMesh } from './mesh.ts';

const mesh = scaleMesh(Number(process.argv[2]));
const codec = createCodec();
const translator = new MeshTranslator(
  translateOptions({ clusterId: 'Kubernetes', trustDomain: DEFAULT_TRUST_DOMAIN }),
);
const store = new SnapshotStore();
store.apply({ authorizations: { upserts: [], removals: [] } });

/** The messages of one namespace, as bytes. */
function wireOf(namespace: number): Uint8Array[] {
  const changes = splitDocuments(namespaceYaml(mesh, namespace, new Map())).flatMap((document) => {
    const parsed = parseText(document);
    if (!parsed.ok) throw new Error(parsed.message);
    return validateDocument(parsed.content, 'mesh.yaml').resources.map((after) => ({
      before: undefined,
      after,
    }));
  });
  const { upserts } = translator.apply(changes).addresses;
  translator.apply(changes.map(({ after }) => ({ before: after, after: undefined })));
  return upserts.map((address) => encodeAddress(codec, address));
}

function heapBytes(): number {
  for (let i = 0; i < 3; i++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

// Whatever is made once and kept (tables of names, compiled code) is there before the first count.
for (const bytes of wireOf(0)) decodeAddress(codec, bytes);
const before = heapBytes();
for (let namespace = 0; namespace < mesh.namespaces; namespace++) {
  const upserts: Address[] = [];
  for (const bytes of wireOf(namespace)) {
    const decoded = decodeAddress(codec, bytes);
    if (!decoded.ok) throw new Error(decoded.errors.join('; '));
    upserts.push(decoded.value);
  }
  store.apply({ addresses: { upserts, removals: [] } });
}
const bytes = heapBytes() - before;
console.log(Math.round(bytes / store.current.workloads.size));
