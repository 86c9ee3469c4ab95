/** FlowRecord against the generated decoder: the same numbers, and a kind that is all of the event but them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlowEvent } from '../../../src/kernel/abi/layout.gen.ts';
import { FlowRecord } from '../../../src/kernel/flow-record.ts';
import { event } from './flow-event.ts';

function read(one: FlowEvent, at = 8): FlowRecord {
  const batch = new Uint8Array(at + FlowEvent.size);
  batch.set(FlowEvent.encode(one), at);
  const record = new FlowRecord();
  record.read(new DataView(batch.buffer), at);
  return record;
}

test('numbers are those of the decoded event', () => {
  const number = fc.maxSafeNat();
  fc.assert(
    fc.property(number, number, number, number, number, fc.nat(65_535), (a, b, c, d, e, port) => {
      const record = read(
        event({
          key: { ...event().key, localPort: port },
          cookie: BigInt(a),
          serverCookie: BigInt(b),
          clientSent: BigInt(c),
          serverSent: BigInt(d),
          redirectedBytes: BigInt(e),
          bornNs: 7_000_000_000n,
          endedNs: 7_012_500_000n,
          flags: 5,
        }),
      );
      assert.deepEqual(
        [record.clientCookie, record.serverCookie, record.id, record.flags, record.sourcePort],
        [a, b, a || b, 5, port],
      );
      assert.deepEqual(
        [record.bytesSent, record.bytesReceived, record.redirectedBytes, record.durationMs],
        [c, d, e, 12.5],
      );
    }),
  );
});

test('what differs from connection to connection is not of the kind', () => {
  const one = read(event());
  const other = read(
    event({
      key: { ...event().key, localPort: 50_001, netns: 9n },
      ...{ bornNs: 5n, endedNs: 6n, cookie: 77n, serverCookie: 78n },
      ...{ clientSent: 1n, serverSent: 2n, redirectedBytes: 3n, flags: 4, clientPort: 3 },
    }),
    16,
  );
  assert.ok(other.isOfKind(one.kindWords()));
  assert.equal(other.kindHash(1), one.kindHash(1));
  assert.notEqual(other.kindHash(2), one.kindHash(1));
});

const { key } = event();
const OTHER = Uint8Array.from({ length: 16 }, () => 7);
const DIFFERENT: Readonly<Record<string, Partial<FlowEvent>>> = {
  'the type': { type: 2 },
  'the reason': { reason: 3 },
  'the client’s address': { key: { ...key, local: OTHER } },
  'the server’s address': { key: { ...key, remote: OTHER } },
  'the server’s port': { key: { ...key, remotePort: 81 } },
  'the path': { path: 2 },
  'the source’s identity': { sourceIdentity: 99 },
  'the destination’s identity': { destinationIdentity: 99 },
  'the source pod': { sourcePod: 99 },
  'the destination pod': { destinationPod: 99 },
  'the service': { service: 99 },
  'the policy': { policy: 99 },
  'the address that was dialled': { dialled: OTHER },
  'the port that was dialled': { dialledPort: 99 },
  'the ends': { ends: 1 },
};

for (const [name, more] of Object.entries(DIFFERENT)) {
  test(`another kind: ${name}`, () => {
    const other = read(event(more));
    assert.ok(!other.isOfKind(read(event()).kindWords()));
    assert.notEqual(other.kindHash(1), read(event()).kindHash(1));
    assert.deepEqual(other.event(), event(more));
  });
}
