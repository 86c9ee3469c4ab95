/**
 * Following an API server that lies, breaks off and floods: real HTTP, and answers no real server would give.
 */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { KubernetesClient } from '../../../src/control/kubernetes/client.ts';
import type { KubernetesError } from '../../../src/control/kubernetes/error.ts';
import { Reflector, REFLECTOR_TIMING } from '../../../src/control/sources/kubernetes/reflector.ts';

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

/** Each list and each watch takes the next answer of its queue; the last one is for all that follow. */
interface Script {
  readonly lists: Answer[];
  readonly watches: Answer[];
}

class Followed {
  readonly objects = new Map<string, string>();
  readonly told: string[] = [];
  readonly errors: KubernetesError[] = [];
  failing: KubernetesError | undefined;
  readonly requests: URL[] = [];

  async until(what: string, condition: () => boolean): Promise<void> {
    const deadline = performance.now() + 10_000;
    while (!condition()) {
      const seen = [...this.objects].join(' ');
      if (performance.now() > deadline)
        assert.fail(`not reached: ${what}; ${this.failing?.message}; ${seen}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

async function followed(t: TestContext, script: Script): Promise<Followed> {
  const state = new Followed();
  const take = (answers: Answer[]): Answer => (answers.length > 1 ? answers.shift()! : answers[0]!);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://server');
    state.requests.push(url);
    response.on('error', () => {});
    take(url.searchParams.has('watch') ? script.watches : script.lists)(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'liar', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'nobody' },
  );
  const client = new KubernetesClient(config);
  const timing = { ...REFLECTOR_TIMING, silenceMs: 400, retryFirstMs: 10, retryMaxMs: 50 };
  const reflector = new Reflector(client, { path: '/api/v1/pods' }, timing, {
    upsert: (key, { metadata }) => {
      state.objects.set(key, metadata.resourceVersion ?? '');
      state.told.push(`${key}@${metadata.resourceVersion}`);
    },
    remove: (key) => {
      state.objects.delete(key);
      state.told.push(`-${key}`);
    },
    synced: () => {},
    failing: (error) => {
      state.failing = error;
      if (error !== undefined) state.errors.push(error);
    },
  });
  t.after(async () => {
    await reflector.close();
    client.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  reflector.start();
  return state;
}

const object = (name: string, version: number) => ({
  metadata: { namespace: 'shop', name, resourceVersion: String(version) },
});
const event = (type: string, value: unknown): string =>
  `${JSON.stringify({ type, object: value })}\n`;

function json(value: unknown, status = 200, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof value === 'string' ? value : JSON.stringify(value));
  };
}

const list = (version: number, ...items: unknown[]): Answer =>
  json({ metadata: { resourceVersion: String(version) }, items });

/** Sends this and stays open. */
const watch =
  (...chunks: string[]): Answer =>
  (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    for (const chunk of chunks) response.write(chunk);
  };

test('events count once, in whatever pieces they come', async (t) => {
  const text = event('ADDED', object('é-b', 2)) + event('MODIFIED', object('é-b', 3));
  const bytes = Buffer.from(text);
  const piecemeal: Answer = (response) => {
    response.writeHead(200);
    let at = 0;
    const timer = setInterval(() => {
      response.write(bytes.subarray(at, at + 7));
      at += 7;
      if (at >= bytes.length) clearInterval(timer);
    }, 1);
  };
  const state = await followed(t, {
    lists: [list(1, object('a', 1))],
    watches: [piecemeal, watch()],
  });
  await state.until('both', () => state.objects.get('shop/é-b') === '3');
  assert.deepEqual(state.told, ['shop/a@1', 'shop/é-b@2', 'shop/é-b@3']);
});

for (const [what, broken] of [
  ['a line that is no JSON', 'garbage\n'],
  ['a line that is no event', '{"type":"SURPRISE","object":{}}\n'],
  ['null', 'null\n'],
  ['an ERROR without a code', '{"type":"ERROR","object":null}\n'],
  ['410 in the stream', event('ERROR', { code: 410, reason: 'Expired' })],
] as const) {
  test(`${what}: what came before counts, and the list mends the rest`, async (t) => {
    const state = await followed(t, {
      lists: [
        list(1, object('a', 1), object('gone', 1)),
        list(9, object('a', 1), object('b', 2), object('c', 9)),
      ],
      watches: [watch(event('ADDED', object('b', 2)), broken), watch()],
    });
    await state.until('the list', () => state.objects.has('shop/c'));
    assert.deepEqual(state.told, ['shop/a@1', 'shop/gone@1', 'shop/b@2', 'shop/c@9', '-shop/gone']);
    await state.until('well again', () => state.failing === undefined);
  });
}

test('a watch that breaks off goes on from the last version, without a list', async (t) => {
  const cut: Answer = (response) => {
    response.writeHead(200);
    response.write(event('ADDED', object('b', 5)));
    response.write(event('BOOKMARK', { metadata: { resourceVersion: '8' } }) + '{"type":"ADD');
    setTimeout(() => response.destroy(), 20);
  };
  const state = await followed(t, {
    lists: [list(1)],
    watches: [cut, watch(event('ADDED', object('c', 9)))],
  });
  await state.until('c', () => state.objects.has('shop/c'));
  const versions = state.requests.map((url) => url.searchParams.get('resourceVersion'));
  assert.deepEqual(versions, [null, '1', '8']);
  assert.deepEqual(state.errors, []);
});

test('silence ends a watch, and it goes on', async (t) => {
  const state = await followed(t, {
    lists: [list(1)],
    watches: [watch(), watch(event('ADDED', object('b', 2)))],
  });
  await state.until('b', () => state.objects.has('shop/b'));
  assert.equal(state.requests.length, 3);
});

test('a line without an end is cut off, and memory stays bounded', async (t) => {
  const endless: Answer = (response) => {
    response.writeHead(200);
    const chunk = 'x'.repeat(1 << 20);
    const write = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once('drain', write);
    };
    write();
  };
  const before = process.memoryUsage().rss;
  const state = await followed(t, {
    lists: [list(1), list(2, object('b', 2))],
    watches: [endless, watch()],
  });
  await state.until('the list after it', () => state.objects.has('shop/b'));
  assert.ok(state.errors.some(({ reason }) => reason === 'TooLarge'));
  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024);
});

test('answers that are no list are refused, and asked for again', async (t) => {
  const state = await followed(t, {
    lists: [
      json('half a li'),
      json([]),
      json({ items: [object('evil', 1)] }),
      json({ message: 'later' }, 429, { 'retry-after': '1' }),
      json({ message: 'broken' }, 500),
      (response) => response.destroy(),
      list(1, null, 7, {}, { metadata: null }, { metadata: { name: 3 } }, object('a', 1)),
    ],
    watches: [watch()],
  });
  const startMs = performance.now();
  await state.until('the list', () => state.objects.has('shop/a'));
  assert.ok(performance.now() - startMs > 900, 'Retry-After is heeded');
  assert.deepEqual([...state.objects.keys()], ['shop/a']);
  // The connection that broke off was one used again: that is tried once more without a word.
  assert.deepEqual(
    state.errors.map(({ status, reason }) => `${status} ${reason}`),
    ['0 Garbage', '0 Garbage', '0 Garbage', '429 ', '500 '],
  );
  assert.equal(state.failing, undefined);
});

test('a page that has expired starts the list anew, and nothing is taken for gone meanwhile', async (t) => {
  const page = (next: string | undefined, ...items: unknown[]): Answer =>
    json({ metadata: { resourceVersion: '5', continue: next }, items });
  const state = await followed(t, {
    lists: [
      page('p2', object('a', 1)),
      page(undefined, object('b', 1)),
      page('p2', object('a', 1)),
      json({ reason: 'Expired', message: 'too old' }, 410),
      page('p2', object('a', 1)),
      page(undefined, object('b', 1)),
    ],
    watches: [watch(event('ERROR', { code: 410 })), watch()],
  });
  await state.until(
    'the second watch',
    () => state.requests.filter((url) => url.searchParams.has('watch')).length === 2,
  );
  assert.deepEqual(state.told, ['shop/a@1', 'shop/b@1']);
});

test('a server that ends every watch at once is not asked in a tight loop', async (t) => {
  const state = await followed(t, {
    lists: [list(1)],
    watches: [(response) => response.writeHead(200).end()],
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(state.requests.length < 50, `${state.requests.length} requests`);
});
