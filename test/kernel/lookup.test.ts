/** What sk_lookup decides about a SYN: loopback, the agent's ports, capture, provenance. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { addrFromText } from '../../src/kernel/abi/address.ts';
import {
  AgentPort,
  ListenerKey,
  ListenerRole,
  PodFlags,
  Reason,
  RecordFlags,
} from '../../src/kernel/abi/layout.gen.ts';
import { PolicyTables } from '../../src/kernel/policy-tables.ts';
import { type Lookup, openLookup, POD } from './lookup-lab.ts';
import { skipReason } from '../support/node.ts';

const skip = skipReason();
const FAMILIES = [
  { family: 4, client: '10.1.0.1', pod: '10.1.0.2', loopback: '127.0.0.1' },
  { family: 6, client: 'fd01::1', pod: 'fd01::2', loopback: '::1' },
] as const;
const PROXY = PodFlags.CAPTURE_PROXY | PodFlags.FALLBACK_DIRECT;

/** A listening socket in a slot; the cookie sk_lookup shall find. */
function fillSlot(
  context: TestContext,
  lookup: Lookup,
  slot: { readonly role: number; readonly family: 4 | 6; readonly worker?: number },
): bigint {
  const { role, family, worker } = slot;
  const { fd } = lookup.binding.listenIn({
    ...{ netnsPath: null, family, port: 0, backlog: 1 },
    addr: addrFromText(family === 4 ? '127.0.0.1' : '::1'),
    slot: {
      map: lookup.map('listeners'),
      key: ListenerKey.encode({ pod: POD.id, role, family, worker: worker ?? 0 }),
    },
  });
  context.after(() => lookup.binding.closeFd(fd));
  return lookup.binding.socketCookie(fd);
}

/** A policy that lets in who proves one identity. */
function allowOnly(lookup: Lookup, identity: number): void {
  const tables = new PolicyTables({ binding: lookup.binding, map: (name) => lookup.map(name) });
  tables.put(POD.id, {
    entries: [
      { identity: 0, port: 0, verdict: 'deny', policy: 1, cidrTable: 0 },
      { identity, port: 0, verdict: 'allow', policy: 1, cidrTable: 0 },
    ],
    cidrTables: new Map(),
    userSpace: undefined,
  });
}

for (const { family, client, pod, loopback } of FAMILIES) {
  const syn = { from: client, fromPort: 40_000, to: pod, port: 8080 };

  test(`IPv${family}: without policy and capture everything passes`, { skip }, (t) => {
    const lookup = openLookup(t);
    assert.deepEqual(lookup.run(syn), { passed: true, cookie: 0n });
    lookup.putRecord(syn, { flags: RecordFlags.POD, identity: 5 });
    assert.deepEqual(lookup.run(syn), { passed: true, cookie: 0n });
  });

  test(`IPv${family}: the agent's ports are refused to everybody`, { skip }, (t) => {
    const lookup = openLookup(t, { flags: PROXY });
    fillSlot(t, lookup, { role: ListenerRole.OUTBOUND, family });
    let tries = 0;
    for (const port of [AgentPort.OUTBOUND, AgentPort.INBOUND, AgentPort.HBONE]) {
      for (const to of [pod, loopback]) {
        const dialled = { ...syn, from: to === pod ? client : loopback, to, port };
        lookup.putRecord(dialled, { flags: RecordFlags.POD }, to === loopback ? POD.netns : 0n);
        assert.equal(lookup.run(dialled).passed, false, `${to} ${port}`);
        tries++;
      }
    }
    assert.equal(lookup.denied(Reason.AGENT_PORT), tries);
  });

  test(
    `IPv${family}: what connect sent to the agent reaches its listener, in this namespace only`,
    { skip },
    (t) => {
      const lookup = openLookup(t, { flags: PROXY });
      const captured = { ...syn, from: loopback, to: loopback, port: AgentPort.OUTBOUND };
      lookup.putRecord(captured, { flags: RecordFlags.CAPTURED }, POD.netns);
      assert.equal(lookup.run(captured).passed, false, 'the agent is gone');
      assert.equal(lookup.denied(Reason.NO_AGENT), 1);
      const cookie = fillSlot(t, lookup, { role: ListenerRole.OUTBOUND, family });
      assert.deepEqual(lookup.run(captured), { passed: true, cookie });
      const elsewhere = { ...captured, fromPort: 40_001 };
      lookup.putRecord(elsewhere, { flags: RecordFlags.CAPTURED }, POD.netns + 1n);
      assert.equal(lookup.run(elsewhere).passed, false, 'a record of another namespace');
    },
  );

  test(`IPv${family}: inbound connections go to the agent, its own legs do not`, { skip }, (t) => {
    const lookup = openLookup(t, { flags: PROXY });
    assert.deepEqual(lookup.run(syn), { passed: true, cookie: 0n }, 'straight without an agent');
    const cookie = fillSlot(t, lookup, { role: ListenerRole.INBOUND, family });
    assert.deepEqual(lookup.run(syn), { passed: true, cookie });
    for (const [port, record] of [
      [40_001, { flags: RecordFlags.AGENT, netns: POD.netns }],
      [40_002, { flags: RecordFlags.POD, netns: POD.netns }],
    ] as const) {
      const own = { ...syn, fromPort: port };
      lookup.putRecord(own, record);
      assert.deepEqual(lookup.run(own), { passed: true, cookie: 0n });
    }
    const foreign = { ...syn, fromPort: 40_003 };
    lookup.putRecord(foreign, { flags: RecordFlags.AGENT, netns: POD.netns + 1n });
    assert.deepEqual(
      lookup.run(foreign),
      { passed: true, cookie },
      'the agent’s leg of another pod',
    );
  });

  test(`IPv${family}: without fallback no agent means refusal`, { skip }, (t) => {
    const lookup = openLookup(t, { flags: PodFlags.CAPTURE_PROXY });
    assert.equal(lookup.run(syn).passed, false);
    assert.equal(lookup.denied(Reason.NO_AGENT), 1);
  });

  test(`IPv${family}: workers share by the client's port`, { skip }, (t) => {
    const lookup = openLookup(t, { flags: PROXY, workers: 2 });
    const cookies = [0, 1].map((worker) =>
      fillSlot(t, lookup, { role: ListenerRole.INBOUND, family, worker }),
    );
    const picked = [40_000, 40_001, 40_002, 40_003].map(
      (fromPort) => lookup.run({ ...syn, fromPort }).cookie,
    );
    assert.deepEqual(new Set(picked), new Set(cookies));
    assert.deepEqual(picked.slice(0, 2), picked.slice(2));
  });

  test(
    `IPv${family}: 15008 of a pod that speaks HBONE is the agent's, without it nobody's`,
    { skip },
    (t) => {
      const lookup = openLookup(t, { flags: PodFlags.TUNNEL });
      const hbone = { ...syn, port: AgentPort.HBONE };
      assert.equal(lookup.run(hbone).passed, false);
      assert.equal(lookup.denied(Reason.NO_AGENT), 1);
      const cookie = fillSlot(t, lookup, { role: ListenerRole.HBONE, family });
      assert.deepEqual(lookup.run(hbone), { passed: true, cookie });
      lookup.putRecord(hbone, { flags: RecordFlags.POD, identity: 5 });
      assert.deepEqual(lookup.run(hbone), { passed: true, cookie }, 'from this node too');
      assert.deepEqual(
        lookup.run(syn),
        { passed: true, cookie: 0n },
        'other ports are not captured',
      );
      assert.equal(lookup.run({ ...syn, port: AgentPort.INBOUND }).passed, false);
    },
  );

  test(`IPv${family}: with TUNNEL_ONLY a record is no identity`, { skip }, (t) => {
    for (const [flags, passed] of [
      [PodFlags.TUNNEL, true],
      [PodFlags.TUNNEL | PodFlags.TUNNEL_ONLY, false],
    ] as const) {
      const lookup = openLookup(t, { flags });
      lookup.putRecord(syn, { flags: RecordFlags.POD, identity: 5 });
      allowOnly(lookup, 5);
      assert.equal(lookup.run(syn).passed, passed);
      const own = { ...syn, fromPort: 40_001 };
      lookup.putRecord(own, { flags: RecordFlags.AGENT, netns: POD.netns });
      assert.equal(lookup.run(own).passed, true, 'what came over HBONE');
    }
  });

  test(`IPv${family}: UDP and loopback are left alone`, { skip }, (t) => {
    const lookup = openLookup(t, { flags: PROXY });
    fillSlot(t, lookup, { role: ListenerRole.INBOUND, family });
    const udp = { ...syn, port: AgentPort.INBOUND, protocol: 17 };
    assert.deepEqual(lookup.run(udp), { passed: true, cookie: 0n });
    const own = { ...syn, from: loopback, to: loopback };
    assert.deepEqual(lookup.run(own), { passed: true, cookie: 0n });
  });
}
