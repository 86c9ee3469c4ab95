/**
 * The sk_lookup program of one pod with maps of its own, run by BPF_PROG_RUN: what it decides about a SYN, and which
 * listener it picks, without a packet.
 */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import {
  Counter,
  type FlowKey,
  FlowKey as FlowKeyCodec,
  Reason,
  Record as RecordCodec,
  type Record as Provenance,
} from '../../src/kernel/abi/layout.gen.ts';
import { type Binding, type BpfMap, loadBinding } from '../../src/kernel/binding.ts';
import { sumRows } from '../../src/kernel/counters.ts';
import { TypedMap, u32, u64 } from '../../src/kernel/typed-map.ts';
import { repositoryRoot } from '../support/repository.ts';

/** include/uapi/linux/bpf.h: struct bpf_sk_lookup */
const CONTEXT = {
  ...{ size: 72, cookie: 0, family: 8, protocol: 12, remoteIp4: 16, remoteIp6: 20 },
  ...{ remotePort: 36, localIp4: 40, localIp6: 44, localPort: 60 },
} as const;
const AF_INET = 2;
const AF_INET6 = 10;
const TCP = 6;
const SK_PASS = 1;

export const POD = { id: 7, identity: 70, netns: 7007n } as const;

export interface Syn {
  readonly from: string;
  readonly fromPort: number;
  readonly to: string;
  readonly port: number;
  /** 17: UDP */
  readonly protocol?: number;
}

export interface Decision {
  readonly passed: boolean;
  /** of the listener that was picked, 0n: the kernel goes on looking by itself */
  readonly cookie: bigint;
}

export interface Lookup {
  readonly binding: Binding;
  map(name: string): BpfMap;
  run(syn: Syn): Decision;
  /** as sockops would have written it; netns only for loopback */
  putRecord(syn: Syn, record: Partial<Provenance>, netns?: bigint): void;
  denied(reason: number): number;
}

export function openLookup(
  context: TestContext,
  pod: {
    readonly flags?: number;
    readonly workers?: number;
    readonly cidrRules?: number;
  } = {},
): Lookup {
  const binding = loadBinding();
  const object = binding.openObject(join(repositoryRoot(), 'bpf/.output/lookup.bpf.o'));
  context.after(() => object.close());
  object.setRodata('pod_netns', u64.encode(POD.netns));
  object.setRodata('pod_id', u32.encode(POD.id));
  object.setRodata('pod_identity', u32.encode(POD.identity));
  object.setRodata('pod_flags', u32.encode(pod.flags ?? 0));
  object.setRodata('pod_workers', u32.encode(pod.workers ?? 1));
  object.setMaxEntries('counters', binding.possibleCpus() * Counter.MAX);
  object.setMaxEntries('reasons', binding.possibleCpus() * Reason.MAX);
  if (pod.cidrRules !== undefined) object.setMaxEntries('cidr_rules', pod.cidrRules);
  object.load();
  const program = object.program('podwire_lookup');
  const records = new TypedMap('records', object.map('records'), FlowKeyCodec, RecordCodec);
  return {
    binding,
    map: (name) => object.map(name),
    run(syn) {
      const { retval, ctxOut } = program.testRun({ ctx: contextOf(syn) });
      const cookie = u64.decode(ctxOut, CONTEXT.cookie);
      return { passed: retval === SK_PASS, cookie };
    },
    putRecord(syn, record, netns = 0n) {
      records.set(keyOf(syn, netns), {
        ...RecordCodec.decode(new Uint8Array(RecordCodec.size)),
        ...record,
      });
    },
    denied: (reason) => Number(sumRows(object.map('reasons'), Reason.MAX)[reason]),
  };
}

function keyOf({ from, fromPort, to, port }: Syn, netns: bigint): FlowKey {
  return {
    ...FlowKeyCodec.decode(new Uint8Array(FlowKeyCodec.size)),
    ...{ local: addrFromText(from), localPort: fromPort },
    ...{ remote: addrFromText(to), remotePort: port, netns },
  };
}

function contextOf({ from, fromPort, to, port, protocol }: Syn): Uint8Array {
  const bytes = new Uint8Array(CONTEXT.size);
  const view = new DataView(bytes.buffer);
  const six = from.includes(':');
  view.setUint32(CONTEXT.family, six ? AF_INET6 : AF_INET, true);
  view.setUint32(CONTEXT.protocol, protocol ?? TCP, true);
  view.setUint16(CONTEXT.remotePort, fromPort, false);
  view.setUint32(CONTEXT.localPort, port, true);
  for (const [text, at4, at6] of [
    [from, CONTEXT.remoteIp4, CONTEXT.remoteIp6],
    [to, CONTEXT.localIp4, CONTEXT.localIp6],
  ] as const) {
    const addr = addrFromText(text);
    bytes.set(six ? addr : addr.subarray(12), six ? at6 : at4);
  }
  return bytes;
}
