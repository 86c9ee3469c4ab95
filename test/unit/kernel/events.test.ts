/** Batches of ring records, delivered by a ring that is an array: order, shorter records, handlers that throw, pace. */
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import {
  EventType,
  FlowEvent,
  TrustEvent,
  type TrustKey,
} from '../../../src/kernel/abi/layout.gen.ts';
import type { Binding, BpfMap } from '../../../src/kernel/binding.ts';
import { Events, type EventHandlers } from '../../../src/kernel/events.ts';
import { event } from './flow-event.ts';

const TRUST_KEY: TrustKey = { ...TrustEvent.decode(new Uint8Array(TrustEvent.size)).key };

/** As native/ringbuf.cc packs them. */
function batchOf(records: readonly Uint8Array[]): Uint8Array {
  const parts = records.map((record) => {
    const part = new Uint8Array(8 + ((record.length + 7) & ~7));
    new DataView(part.buffer).setUint32(0, record.length, true);
    part.set(record, 8);
    return part;
  });
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function setUp(handlers: Partial<EventHandlers> = {}, generations = [1]) {
  const told: unknown[] = [];
  const waiting = new Map<number, Uint8Array[]>();
  let consumed = 0;
  const binding = {
    openRingBuffer(map: BpfMap, onRecords: (batch: Uint8Array) => void) {
      return {
        consume() {
          consumed++;
          const records = waiting.get(map.fd)?.splice(0) ?? [];
          if (records.length > 0) onRecords(batchOf(records));
          return records.length;
        },
        close: () => undefined,
      };
    },
  } as unknown as Binding;
  const events = new Events({
    binding,
    handlers: {
      closed: ({ id, bytesSent }, generation) => told.push(['closed', id, bytesSent, generation]),
      denied: ({ id }, generation) => told.push(['denied', id, generation]),
      trust: ({ tgid }) => told.push(['trust', tgid]),
      met: ({ sourcePod }) => told.push(['met', sourcePod]),
      failed: (error) => told.push(['failed', (error as Error).message]),
      delivered: () => told.push('delivered'),
      ...handlers,
    },
  });
  return {
    told,
    events,
    consumed: () => consumed,
    put: (generation: number, ...records: Uint8Array[]) => waiting.set(generation, records),
    start: (t: TestContext) => {
      t.after(() => events.close());
      events.start(
        generations.map((generation) => ({
          generation,
          map: { fd: generation } as unknown as BpfMap,
        })),
      );
    },
  };
}

const closed = (cookie: bigint, more: Partial<FlowEvent> = {}): Uint8Array =>
  FlowEvent.encode(event({ cookie, ...more }));

test('a batch is told in order and has an end', (t) => {
  const { told, events, put, start } = setUp();
  start(t);
  const trust = { type: EventType.TRUST, key: TRUST_KEY, tgid: 5, pod: 1 };
  put(
    1,
    closed(1n),
    TrustEvent.encode(trust),
    closed(2n, { type: EventType.DENIED }),
    closed(3n, { clientSent: 9n }),
  );
  assert.equal(events.poll(), 4);
  assert.deepEqual(told, [
    ['closed', 1, 100, 1],
    ['trust', 5],
    ['denied', 2, 1],
    ['closed', 3, 9, 1],
    'delivered',
  ]);
});

test('what an older record does not have reads as zero', (t) => {
  const { told, events, put, start } = setUp();
  start(t);
  put(1, closed(7n).subarray(0, 88), closed(8n));
  events.poll();
  assert.deepEqual(told, [['closed', 7, 0, 1], ['closed', 8, 100, 1], 'delivered']);
});

test('an event that cannot be told is reported; those behind it are told', (t) => {
  const seen: number[] = [];
  const { told, events, put, start } = setUp({
    closed({ id }) {
      if (id === 1) throw new Error('no');
      seen.push(id);
    },
  });
  start(t);
  put(1, closed(1n), closed(2n));
  events.poll();
  assert.deepEqual(told, [['failed', 'no'], 'delivered']);
  assert.deepEqual(seen, [2]);
});

test('a connection that two generations know is told once', (t) => {
  const { told, events, put, start } = setUp({}, [1, 2]);
  start(t);
  put(1, closed(1n));
  put(2, closed(1n), closed(2n));
  events.poll();
  assert.deepEqual(
    told.filter((one) => one !== 'delivered'),
    [
      ['closed', 1, 100, 1],
      ['closed', 2, 100, 2],
    ],
  );
});

test('an idle ring is looked into ever less often, a busy one ten times a second', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { consumed, put, start } = setUp();
  start(t);
  for (const [afterMs, looks] of [
    [100, 1],
    [200, 2],
    [400, 3],
    [400, 4],
    [399, 4],
    [1, 5],
  ] as const) {
    t.mock.timers.tick(afterMs);
    assert.equal(consumed(), looks);
  }
  put(1, closed(1n));
  t.mock.timers.tick(400);
  assert.equal(consumed(), 6);
  t.mock.timers.tick(100);
  assert.equal(consumed(), 7);
});
